import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import t from 'tap'
import { addressOf, clientOf, isAddressed, networkBehind, networkOf, siteOf } from '../../src/core/network.js'

/** [address, its network]. // L1 */
const cases = [
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::FFFF:c000:201', '192.0.2.1'],
  ['0:0:0:0:0:ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2:ffff:ffff:ffff:ffff', '2001:db8:1:2::/64'],
  ['2001:0db8:0001:0002:0003:0004:0005:0006', '2001:db8:1:2::/64'],
  ['2001:db8:1:3::1', '2001:db8:1:3::/64'],
  ['2001:db8::1', '2001:db8::/64'],
  ['2001:db8:0:1::1', '2001:db8:0:1::/64'],
  ['fe80::1%eth0', 'fe80::/64'],
  ['fe80::2%1', 'fe80::/64'],
  ['::1', '::/64'],
  ['192.0.2.1:50001', '192.0.2.1'],
  ['192.0.2.1:0', '192.0.2.1'],
  ['[2001:db8:1:2::1]', '2001:db8:1:2::/64'],
  ['[2001:DB8:1:2::1]:443', '2001:db8:1:2::/64'],
  ['[fe80::1%eth0]:443', 'fe80::/64'],
  ['[::ffff:192.0.2.1]:50001', '192.0.2.1'],
  ['64:ff9b::192.0.2.1', '192.0.2.1'],
  ['64:FF9B::c000:201', '192.0.2.1'],
  ['[64:ff9b::c000:201]:443', '192.0.2.1'],
  ['64:ff9b:0:0:0:1:c000:201', '64:ff9b::/64'],
  ['64:ff9b:1::c000:201', '64:ff9b:1::/64'],
  ['', 'unknown'],
  ['localhost', 'unknown'],
  ['192.0.2.256', 'unknown'],
  ['192.0.2.1, 198.51.100.1', 'unknown'],
  ['2001:db8::/64', 'unknown'],
  ['1:2:3', 'unknown'],
  ['192.0.2.1:', 'unknown'],
  ['192.0.2.1:65536', 'unknown'],
  ['192.0.2.1:443:443', 'unknown'],
  ['192.0.2.1:http', 'unknown'],
  ['192.000.002.001', 'unknown'],
  ['[192.0.2.1]', 'unknown'],
  ['[192.0.2.1]:443', 'unknown'],
  ['[]', 'unknown'],
  ['[2001:db8::1', 'unknown'],
  ['2001:db8::1]', 'unknown'],
  ['[[2001:db8::1]]', 'unknown'],
  ['[2001:db8::1]443', 'unknown'],
  ['[2001:db8::1]:', 'unknown'],
  ['[2001:db8::1]:70000', 'unknown'],
  ['"[2001:db8::1]"', 'unknown'],
  ['for=192.0.2.1', 'unknown'],
  ['_hidden', 'unknown'],
  ['-', 'unknown'],
  [undefined, 'unknown']
] as const

t.test('L1 an address is counted under its network', async (t) => {
  for (const [address, network] of cases) t.equal(networkOf(address), network, String(address))
})

t.test('L1 each spelling is read as the one address that is stored and shown', async (t) => {
  const spellings = {
    '192.0.2.1': ['192.0.2.1', '192.0.2.1:1', '::ffff:192.0.2.1', '[::FFFF:C000:0201]:65535', '64:ff9b::192.0.2.1'],
    '2001:db8::1': ['2001:DB8::1', '[2001:db8::1]', '[2001:0db8:0:0::1]:80', '2001:db8::1%3'],
    '2001:db8:0:1:1:1:1:1': ['2001:db8:0:1:1:1:1:1'],
    '::': ['::', '[::]:0'],
    '::1': ['0:0:0:0:0:0:0:1']
  }
  for (const [address, texts] of Object.entries(spellings)) for (const text of texts) t.equal(addressOf(text), address, text)
  for (const text of ['unknown', '', '192.0.2.1 ', undefined]) t.equal(addressOf(text), null, String(text))
})

t.test('L1 a client whose address cannot be read is counted under its proxy, apart from the proxy itself', async (t) => {
  t.same(clientOf('192.0.2.1:50001', '10.0.0.1'), { ip: '192.0.2.1', network: '192.0.2.1' })
  const behind = clientOf('unknown', '::ffff:10.0.0.1')
  t.equal(behind.ip, '10.0.0.1')
  t.equal(behind.network, networkBehind('_another', '10.0.0.1'), 'whatever it is that cannot be read')
  t.not(behind.network, clientOf('10.0.0.1', '10.0.0.1').network)
  t.not(behind.network, networkBehind('unknown', '10.0.0.2'))
  t.same(clientOf(undefined, undefined), { ip: '', network: 'unknown' })
  const clients = [['192.0.2.1', '10.0.0.1', true], ['x', '10.0.0.1', false], [undefined, undefined, false]] as const
  for (const [claimed, peer, known] of clients) {
    t.equal(isAddressed(networkBehind(claimed, peer)), known)
  }
})

t.test('the site of a network: /24, /48, or itself', async (t) => {
  const sites = [['192.0.2.77', '192.0.2.0/24'], ['2001:db8:1:2::/64', '2001:db8:1::/48'], ['2001:db8::/64', '2001:db8::/48'],
    ['::/64', '::/48'], [networkBehind('x', '10.0.0.1'), networkBehind('x', '10.0.0.1')], ['unknown', 'unknown']] as const
  for (const [network, site] of sites) t.equal(siteOf(network), site)
})

t.test('L1 it agrees with a parser of whole addresses', async (t) => {
  const group = fc.oneof(fc.constant(0), fc.constant(0xffff), fc.integer({ min: 0, max: 0xffff }))
  const address = fc.array(group, { minLength: 8, maxLength: 8 })
  fc.assert(fc.property(address, fc.constantFrom('short', 'long', 'RFC 5952'), (groups, spelling) => {
    const address = new ipaddr.IPv6(groups)
    const text = { short: address.toString(), long: address.toNormalizedString(), 'RFC 5952': address.toRFC5952String() }[spelling]
    const expected = address.isIPv4MappedAddress()
      ? address.toIPv4Address().toString()
      : `${new ipaddr.IPv6([...groups.slice(0, 4), 0, 0, 0, 0]).toRFC5952String()}/64`
    const shown = address.isIPv4MappedAddress() ? expected : address.toRFC5952String()
    const all = [text, text.toUpperCase(), `[${text}]`, `[${text}]:443`]
    return all.every((spelt) => networkOf(spelt) === expected && addressOf(spelt) === shown)
  }), { numRuns: 2000 })
  t.pass('2000 addresses in three spellings')
})
