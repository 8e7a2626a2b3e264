import { isIP, isIPv6 } from 'node:net'
import Fastify from 'fastify'
import fc from 'fast-check'
import { addressOf, clientOf, isAddressed, networkBehind, networkOf, siteOf } from '../../../src/core/network.js'
import { trustProxies } from '../../../src/config/trusted-proxies.js'
import { rule, textOf, type Target } from '../target.js'

const PROXIES = ['127.0.0.1', '10.0.0.0/8', 'fd00::/8']
const words = [
  '127.0.0.1', '10.1.2.3', '192.0.2.1', '203.0.113.7', '::1', '::', 'fd00::1', '2001:db8::1', '2001:db8:0:0:1:0:0:1', '::ffff:192.0.2.1',
  '::ffff:c000:201', '64:ff9b::192.0.2.1', '[2001:db8::1]', '[::1]:80', '192.0.2.1:80', ':65536', '%eth0', '%25', 'fe80::1%lo', ', ', ',',
  ' ',
  ':', '.', '/24', '0x7f.1', '01', '255', '256', 'ffff', 'unknown', '_hidden', 'for=', '"'
]
const text = fc.string({ unit: fc.constantFrom(...words, ...'0123456789abcdef:.'), maxLength: 8 })
const trust = trustProxies(PROXIES)
const app = Fastify({ trustProxy: trust as (address: string) => boolean })
app.get('/', async (request) => ({ ...clientOf(request.ip, request.socket.remoteAddress), ip: request.ip }))
await app.ready()

/** Addresses of clients as proxies report them. The judges are the parser of URLs, and RFC 7239's order read from the right. */
export const target: Target = {
  files: ['src/core/network.js', 'src/config/trusted-proxies.js'],
  words,
  arbitrary: fc.record({ address: text, peer: text, forwarded: text }),
  async check (input) {
    const [claimed, peer] = [textOf(input, 'address'), textOf(input, 'peer')]
    const address = addressOf(claimed)
    if (address !== null) {
      rule(isIP(address) !== 0 && addressOf(address) === address, 'an address has another normal form')
      rule(address === judged(claimed), 'the parser of URLs reads another address')
      rule(networkOf(claimed) === networkOf(address), 'two spellings of an address are in two networks')
      if (trust !== false) rule(trust(claimed) === trust(address), 'a spelling of an address is trusted otherwise')
    }
    const network = networkBehind(claimed, peer)
    rule(isAddressed(network) === (address !== null), 'a network belongs to no address')
    rule(siteOf(siteOf(network)) === siteOf(network) || !isAddressed(network), 'a site has another site')
    await checkForwarded(textOf(input, 'forwarded'))
  },
  close: () => app.close()
}

/** Returns the normal form by the parser of URLs, which knows neither zones nor addresses in addresses. */
function judged (text: string): string | null {
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? (isIPv6(text) ? text : text.replace(/:\d+$/, ''))
  if (isIP(bare) === 4) return bare
  const { hostname } = new URL(`http://[${bare.split('%')[0]}]`)
  const parsed = hostname.slice(1, -1)
  const inside = /^(?:::ffff:|64:ff9b::)(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,4})?$/.exec(parsed)
  if (inside === null || (parsed.startsWith('::ffff:') && inside[1] === undefined)) return parsed
  const groups = [inside[1] ?? '0', inside[2] ?? '0'].map((group) => Number.parseInt(group, 16))
  return groups.flatMap((group) => [group >> 8, group & 255]).join('.')
}

async function checkForwarded (forwarded: string): Promise<void> {
  // Servers cut white space of other kinds at the ends of a header in ways of their own.
  if (/[^\x20-\x7e]/.test(forwarded)) return
  const answer = await app.inject({ url: '/', headers: { 'x-forwarded-for': forwarded } })
  const { ip, network } = answer.json<{ ip: string, network: string }>()
  rule(answer.statusCode === 200, 'a forwarded address is a fault of the server')
  // From the right: the first one that no proxy of ours wrote.
  const list = forwarded.split(',').map((part) => part.trim()).filter((part) => part !== '')
  const foreign = ['127.0.0.1', ...list.reverse()].find((part) => !isOfUs(part))
  rule(foreign === undefined || ip === foreign, 'the client has an address that no trusted proxy wrote')
  rule(network !== '', 'a client is in no network')
}

/** Judges by the addresses of PROXIES alone. */
function isOfUs (text: string): boolean {
  const address = addressOf(text)
  return address !== null && (address === '127.0.0.1' || address.startsWith('10.') || /^fd[0-9a-f]{2}:/.test(address))
}
