import { isIPv4, isIPv6 } from 'node:net'

const GROUPS = 8
/** Half of an IPv6 address: what one customer gets, so what one customer can vary at will. */
const PREFIX_GROUPS = 4

/**
 * The network that an address is counted under: an IPv4 address itself (also when it
 * comes mapped, `::ffff:192.0.2.1`), an IPv6 address as its /64 in RFC 5952 text.
 * Called for each request, hence by hand: a parser of whole addresses costs five microseconds.
 *
 * @returns `'unknown'` for whatever is no address (a Unix socket has none), so that
 * all such callers share one budget instead of having none.
 */
export function networkOf (address: string | undefined): string {
  if (address === undefined) return 'unknown'
  if (isIPv4(address)) return address
  if (!isIPv6(address)) return 'unknown'
  const groups = groupsOf(address)
  return isMapped(groups) ? dotted(groups) : prefixText(groups)
}

/** The eight numbers of a valid IPv6 address, its zone dropped. */
function groupsOf (address: string): number[] {
  const zone = address.indexOf('%')
  const [head = '', tail] = (zone === -1 ? address : address.slice(0, zone)).split('::')
  const first = numbersOf(head)
  if (tail === undefined) return first
  const last = numbersOf(tail)
  while (first.length + last.length < GROUPS) first.push(0)
  return first.concat(last)
}

/** Groups between colons; a dotted end, as in `::ffff:192.0.2.1`, is two of them. */
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
function isMapped (groups: number[]): boolean {
  return groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)
}

function dotted (groups: number[]): string {
  return groups.slice(6).flatMap((group) => [group >> 8, group & 255]).join('.')
}

/** The zeros at the end are the longest run there is, so they are what RFC 5952 §4.2.3 shortens. */
function prefixText (groups: number[]): string {
  let length = PREFIX_GROUPS
  while (length > 0 && groups[length - 1] === 0) length -= 1
  let text = ''
  for (let i = 0; i < length; i++) text += `${i === 0 ? '' : ':'}${groups[i]?.toString(16)}`
  return `${text}::/64`
}
