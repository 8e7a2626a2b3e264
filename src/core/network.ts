import { isIPv4, isIPv6 } from 'node:net'

const GROUPS = 8
/** A /64: one customer gets it, and can vary the rest of the address freely. */
const PREFIX_GROUPS = 4
/** A /48: the assignment of one site (RFC 6177). */
const SITE_GROUPS = 3
/** `[v6]`, `[v6]:port` and `a.b.c.d:port`, as proxies write them. */
const WITH_PORT = /^(?:\[([^[\]]+)\](?::([0-9]{1,5}))?|([0-9.]+):([0-9]{1,5}))$/
const MOST_PORT = 65_535

/** Network of a request without any address: peers of a Unix socket have none. */
const NO_NETWORK = 'unknown'
/** Prefix of the proxy's network where the client's address cannot be read, so that the two are counted separately. */
const BEHIND = 'behind '

/** Address of a client, and the network under which its requests are counted. */
export interface Client {
  /** IPv4 in four parts, IPv6 as RFC 5952 writes it; empty if there is none. */
  ip: string
  network: string
}

/**
 * Reads an address in any spelling that proxies use: with or without port and brackets, any case, with a zone (dropped).
 * An IPv4 address in an IPv6 one (mapped, RFC 4291 §2.5.5.2; NAT64, RFC 6052 §2.1) is the IPv4 address.
 *
 * @returns null if the text is no address
 */
export function addressOf (text: string | undefined): string | null {
  const parsed = parse(text)
  return typeof parsed === 'object' && parsed !== null ? textOf(parsed) : parsed
}

/**
 * Returns the network of an address: an IPv4 address itself, or the /64 of an IPv6 address in RFC 5952 text.
 * Runs for each request, so it is written by hand: a general address parser costs five microseconds.
 *
 * @returns `'unknown'` for text that is no address
 */
export function networkOf (address: string | undefined): string {
  const parsed = parse(address)
  if (parsed === null) return NO_NETWORK
  return typeof parsed === 'string' ? parsed : prefixText(parsed, PREFIX_GROUPS)
}

/**
 * Returns the client's network, by the address that trusted proxies report. If that address cannot be read, returns the peer's
 * network with a prefix: clients of such a proxy share a network, and no other client is counted in it.
 *
 * @param claimed the client's address as the framework found it
 * @param peer address of the connection's other end
 */
export function networkBehind (claimed: string | undefined, peer: string | undefined): string {
  const network = networkOf(claimed)
  if (network !== NO_NETWORK) return network
  const proxy = networkOf(peer)
  return proxy === NO_NETWORK ? NO_NETWORK : BEHIND + proxy
}

/** Returns the network together with the address, which is stored and shown. Parameters as for `networkBehind`. */
export function clientOf (claimed: string | undefined, peer: string | undefined): Client {
  return { ip: addressOf(claimed) ?? addressOf(peer) ?? '', network: networkBehind(claimed, peer) }
}

/** True if the network belongs to a readable address. Only such a network can become a known network of an account. */
export function isAddressed (network: string): boolean {
  return network !== NO_NETWORK && !network.startsWith(BEHIND)
}

/** Returns the site of a network: the /24 of an IPv4 address, the /48 of an IPv6 one; any other network is its own site. */
export function siteOf (network: string): string {
  if (isIPv4(network)) return `${network.slice(0, network.lastIndexOf('.'))}.0/24`
  const [address = ''] = network.split('/')
  return isIPv6(address) ? prefixText(groupsOf(address), SITE_GROUPS) : network
}

/** Returns IPv4 as text, IPv6 as its eight numbers, null if the text is no address. */
function parse (text: string | undefined): string | readonly number[] | null {
  if (typeof text !== 'string') return null
  if (isIPv4(text)) return text
  const bare = isIPv6(text) ? text : withoutPort(text)
  if (bare === null || isIPv4(bare)) return bare
  const groups = groupsOf(bare)
  return isMapped(groups) || isNat64(groups) ? dotted(groups) : groups
}

function withoutPort (text: string): string | null {
  const [, v6, v6Port, v4, v4Port] = WITH_PORT.exec(text) ?? []
  if (Number(v6Port ?? v4Port ?? 0) > MOST_PORT) return null
  if (v6 !== undefined) return isIPv6(v6) ? v6 : null
  return v4 !== undefined && isIPv4(v4) ? v4 : null
}

/** Returns the eight numbers of a valid IPv6 address, without its zone. */
function groupsOf (address: string): number[] {
  const zone = address.indexOf('%')
  const [head = '', tail] = (zone === -1 ? address : address.slice(0, zone)).split('::')
  const first = numbersOf(head)
  if (tail === undefined) return first
  const last = numbersOf(tail)
  while (first.length + last.length < GROUPS) first.push(0)
  return first.concat(last)
}

/** Returns the groups between colons. A dotted end, as in `::ffff:192.0.2.1`, gives two groups. */
function numbersOf (text: string): number[] {
  const numbers: number[] = []
  if (text === '') return numbers
  for (const group of text.split(':')) {
    if (group.includes('.')) {
      const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
      numbers.push(a * 256 + b, c * 256 + d)
    } else {
      numbers.push(Number.parseInt(group, 16))
    }
  }
  return numbers
}

/** RFC 4291 §2.5.5.2: 80 zero bits, 16 ones, then the IPv4 address. */
function isMapped (groups: readonly number[]): boolean {
  return groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)
}

/** RFC 6052 §2.1: `64:ff9b::/96`, then the IPv4 address. */
function isNat64 (groups: readonly number[]): boolean {
  return groups[0] === 0x64 && groups[1] === 0xff9b && groups.slice(2, 6).every((group) => group === 0)
}

function dotted (groups: readonly number[]): string {
  return groups.slice(6).flatMap((group) => [group >> 8, group & 255]).join('.')
}

/** Formats a prefix. The zeros at the end are the longest run, so RFC 5952 §4.2.3 shortens them. */
function prefixText (groups: readonly number[], count: number): string {
  let length = count
  while (length > 0 && groups[length - 1] === 0) length -= 1
  return `${hex(groups.slice(0, length))}::/${count * 16}`
}

/** RFC 5952 §4: lower case, no leading zeros, the first of the longest runs of zeros shortened if it has two groups or more. */
function textOf (groups: readonly number[]): string {
  let [from, length] = [0, 1]
  for (let start = 0; start < GROUPS; start++) {
    let end = start
    while (end < GROUPS && groups[end] === 0) end++
    if (end - start > length) [from, length] = [start, end - start]
  }
  return length < 2 ? hex(groups) : `${hex(groups.slice(0, from))}::${hex(groups.slice(from + length))}`
}

function hex (groups: readonly number[]): string {
  return groups.map((group) => group.toString(16)).join(':')
}
