import { lookup as lookUp } from 'node:dns'
import type { LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'

/** What a hosting company answers under a public address to its own machines alone: Azure's. The others' are private. */
const METADATA = ['168.63.129.16']

/** All that was given out of IPv6 so far. Outside it is what was never given out, ::127.0.0.1 among it, however that is spelled. */
const GIVEN_OUT = ipaddr.IPv6.parseCIDR('2000::/3')

/** Whether a connection may be made to an address. */
export type IsAllowed = (address: string) => boolean

/**
 * Whether an address is anybody's on the Internet. Not private, link-local, loopback, carrier-grade NAT, documentation
 * or multicast; nor an IPv6 address that has an IPv4 address inside (mapped, NAT64, 6to4, Teredo), which may be any of those.
 */
export function isPublic (address: string): boolean {
  if (!ipaddr.isValid(address) || METADATA.includes(address)) return false
  const parsed = ipaddr.parse(address)
  return parsed.range() === 'unicast' && (parsed.kind() === 'ipv4' || parsed.match(GIVEN_OUT))
}

/**
 * Where a receiver may be: at a public address by https://, and at those that were named, by http:// too.
 *
 * @param named addresses and CIDR ranges
 */
export function receiversAt ({ protocol }: URL, named: readonly string[]): IsAllowed {
  const ranges = named.map((range) => range.includes('/') ? ipaddr.parseCIDR(range) : [ipaddr.parse(range), ipaddr.parse(range).kind() === 'ipv4' ? 32 : 128] as const)
  const isNamed = (address: string) => {
    const parsed = ipaddr.process(address)
    return ranges.some(([range, bits]) => range.kind() === parsed.kind() && parsed.match(range, bits))
  }
  return (address) => ipaddr.isValid(address) && (isNamed(address) || (protocol === 'https:' && isPublic(address)))
}

/** The host of a URL if it is an address, as one: nobody looks it up. */
export function literalAddress ({ hostname }: URL): string | null {
  const address = hostname.replace(/^\[|\]$/g, '')
  return ipaddr.isValid(address) ? address : null
}

/** Refused because of where it leads. */
export class PrivateAddressError extends Error {
  override readonly name = 'PrivateAddressError'
}

/**
 * Looks a name up for a connection that is about to be made, and gives only allowed addresses. What was looked at is what is
 * connected to: a name that answers otherwise the next time (DNS rebinding) gains nothing.
 */
export function guardedLookup (isAllowed: IsAllowed, resolve: typeof lookUp = lookUp): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      const allowed = error === null ? found.filter(({ address }) => isAllowed(address)) : []
      const [first] = allowed
      if (first === undefined) callback(error ?? new PrivateAddressError('The receiver is at an address that was not named'), '', 0)
      else if (options.all === true) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }
}
