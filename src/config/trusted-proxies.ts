import { BlockList, isIPv6 } from 'node:net'
import { addressOf } from '../core/network.js'

/** Entry of TRUSTED_PROXIES for the peers of a Unix socket, which have no address. */
export const UNIX_PEERS = 'unix'

/**
 * Returns the function for Fastify's `trustProxy`: true for the address of a listed proxy. Proxies write the addresses of other
 * proxies with ports and brackets too, so addresses are compared by value.
 *
 * @param proxies addresses, CIDR ranges and `unix`, as the configuration has checked them
 */
export function trustProxies (proxies: readonly string[]): false | ((address: string | undefined) => boolean) {
  if (proxies.length === 0) return false
  const trustsUnix = proxies.includes(UNIX_PEERS)
  const list = new BlockList()
  for (const proxy of proxies.filter((name) => name !== UNIX_PEERS)) {
    const [address = '', prefix] = proxy.split('/')
    if (prefix === undefined) list.addAddress(address, familyOf(address))
    else list.addSubnet(address, Number(prefix), familyOf(address))
  }
  return (text) => {
    if (text === undefined || text === '') return trustsUnix
    const address = addressOf(text)
    // An IPv6 address that contains an IPv4 address may itself be in the list.
    return address !== null && (list.check(address, familyOf(address)) || (isIPv6(text) && list.check(text, 'ipv6')))
  }
}

function familyOf (address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4'
}
