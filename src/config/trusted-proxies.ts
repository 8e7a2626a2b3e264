import { BlockList, isIPv6 } from 'node:net'
import { addressOf } from '../core/network.js'

/** In TRUSTED_PROXIES: peers of a Unix socket, which have no address. */
export const UNIX_PEERS = 'unix'

/**
 * Tells for each address of a chain, nearest first, if it is a listed proxy's. Proxies write the addresses of other
 * proxies with ports and brackets too, so an address is compared by value. As Fastify's `trustProxy`.
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
    // One with an IPv4 address inside may be listed as it is.
    return address !== null && (list.check(address, familyOf(address)) || (isIPv6(text) && list.check(text, 'ipv6')))
  }
}

function familyOf (address: string): 'ipv4' | 'ipv6' {
  return isIPv6(address) ? 'ipv6' : 'ipv4'
}
