import { lookup as lookUp } from 'node:dns'
import type { LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'

/** Public addresses that a hosting company uses for its own machines only: Azure's. The other companies' are private. */
const METADATA = ['168.63.129.16']

/** All IPv6 addresses that were assigned so far. Others never were, ::127.0.0.1 in any spelling among them. */
const GIVEN_OUT = ipaddr.IPv6.parseCIDR('2000::/3')

/** Returns true if a connection to the address is allowed. */
export type IsAllowed = (address: string) => boolean

/**
 * Returns true for a public address of the Internet: not private, link-local, loopback, carrier-grade NAT, documentation
 * or multicast. An IPv6 address that contains an IPv4 address (mapped, NAT64, 6to4, Teredo) may be any of these, so it is not
 * public here.
 */
export function isPublic (address: string): boolean {
  if (!ipaddr.isValid(address) || METADATA.includes(address)) return false
  const parsed = ipaddr.parse(address)
  return parsed.range() === 'unicast' && (parsed.kind() === 'ipv4' || parsed.match(GIVEN_OUT))
}

/**
 * Returns the check for a receiver: public addresses by https://, and named addresses, also by http://.
 *
 * @param named addresses and CIDR ranges
 */
export function receiversAt ({ protocol }: URL, named: readonly string[]): IsAllowed {
  const ranges = named.map((range) => range.includes('/')
    ? ipaddr.parseCIDR(range)
    : [ipaddr.parse(range), ipaddr.parse(range).kind() === 'ipv4' ? 32 : 128] as const)
  const isNamed = (address: string) => {
    const parsed = ipaddr.process(address)
    return ranges.some(([range, bits]) => range.kind() === parsed.kind() && parsed.match(range, bits))
  }
  return (address) => ipaddr.isValid(address) && (isNamed(address) || (protocol === 'https:' && isPublic(address)))
}

/** Returns the host of a URL if it is an address: no look-up is made for it. */
export function literalAddress ({ hostname }: URL): string | null {
  const address = hostname.replace(/^\[|\]$/g, '')
  return ipaddr.isValid(address) ? address : null
}

/** Error for a receiver at an address that is not allowed. */
export class PrivateAddressError extends Error {
  override readonly name = 'PrivateAddressError'
}

/**
 * Looks a name up for a connection and returns only allowed addresses. The connection is made to the checked address, so a
 * name that resolves to another address the next time (DNS rebinding) gains nothing.
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
