import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import t from 'tap'
import { networkOf } from '../../src/core/network.js'

/** [address, the network it is counted under]. // L1 */
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
  ['', 'unknown'],
  ['localhost', 'unknown'],
  ['192.0.2.256', 'unknown'],
  ['192.0.2.1, 198.51.100.1', 'unknown'],
  ['2001:db8::/64', 'unknown'],
  ['1:2:3', 'unknown'],
  [undefined, 'unknown']
] as const

t.test('L1 an address is counted under its network', async (t) => {
  for (const [address, network] of cases) t.equal(networkOf(address), network, String(address))
})

t.test('L1 it agrees with a parser of whole addresses', async (t) => {
  const group = fc.oneof(fc.constant(0), fc.constant(0xffff), fc.integer({ min: 0, max: 0xffff }))
  fc.assert(fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), fc.constantFrom('short', 'long', 'RFC 5952'), (groups, spelling) => {
    const address = new ipaddr.IPv6(groups)
    const text = { short: address.toString(), long: address.toNormalizedString(), 'RFC 5952': address.toRFC5952String() }[spelling]
    const expected = address.isIPv4MappedAddress()
      ? address.toIPv4Address().toString()
      : `${new ipaddr.IPv6([...groups.slice(0, 4), 0, 0, 0, 0]).toRFC5952String()}/64`
    return networkOf(text) === expected && networkOf(text.toUpperCase()) === expected
  }), { numRuns: 2000 })
  t.pass('2000 addresses in three spellings')
})
