import type { LookupAddress, LookupAllOptions } from 'node:dns'
import t from 'tap'
import { guardedLookup, isPublic, literalAddress, PrivateAddressError, receiversAt } from '../../../src/events/webhook/address.js'

/** [address, is it public?] */
const addresses = [
  ['93.184.216.34', true], ['8.8.8.8', true], ['2606:4700::1111', true], ['2a00:1450:4001::1', true],
  ['127.0.0.1', false], ['127.8.8.8', false], ['::1', false], ['0.0.0.0', false], ['::', false],
  ['10.0.0.1', false], ['172.16.0.1', false], ['172.31.255.255', false], ['192.168.1.1', false],
  ['169.254.169.254', false], ['fe80::1', false], ['fe80::1%eth0', false], ['fd00:ec2::254', false], ['fc00::1', false],
  ['100.64.0.1', false], ['100.100.100.200', false], ['192.0.0.192', false], ['168.63.129.16', false],
  ['224.0.0.1', false], ['ff02::1', false], ['255.255.255.255', false], ['240.0.0.1', false], ['198.18.0.1', false], ['2001:db8::1', false],
  ['::ffff:10.0.0.1', false], ['::ffff:8.8.8.8', false], ['::127.0.0.1', false], ['::7f00:1', false], ['::a9fe:a9fe', false],
  ['::ffff:0:7f00:1', false], ['64:ff9b::7f00:1', false], ['64:ff9b:1::1', false], ['2002:7f00:1::', false], ['2001::1', false],
  ['fec0::1', false],
  ['', false], ['example.org', false]
] as const

t.test('what is anybody\'s and what is not', async (t) => {
  for (const [address, expected] of addresses) t.equal(isPublic(address), expected, address)
})

t.test('an address in a URL is known however it is spelled', async (t) => {
  const hosts = [
    '127.0.0.1', '2130706433', '0x7f.1', '0177.0.0.1', '127.1', '127.0.0.1.', '[::1]', '[::ffff:127.0.0.1]', '[::127.0.0.1]', '[fe80::1]'
  ]
  for (const host of hosts) {
    const address = literalAddress(new URL(`https://${host}/`))
    t.type(address, 'string', host)
    t.notOk(isPublic(address!), host)
  }
  t.equal(literalAddress(new URL('https://example.org/')), null)
})

type Answer = Error | LookupAddress[]

/** Returns a look-up with a name server that gives these answers. */
function lookingUp (...answers: Answer[]) {
  const resolve = (_name: string, _options: LookupAllOptions, done: (error: Error | null, found: LookupAddress[]) => void) => {
    const answer = answers.shift()!
    if (answer instanceof Error) done(answer, [])
    else done(null, answer)
  }
  const lookup = guardedLookup(isPublic, resolve as never)
  return (all: boolean) => new Promise((resolve, reject) => {
    lookup('receiver.example', { all }, (error, address, family) => {
      if (error) reject(error)
      else resolve(all ? address : { address, family })
    })
  })
}

const good = { address: '93.184.216.34', family: 4 }
const bad = { address: '10.0.0.1', family: 4 }

/** [URL, WEBHOOK_PRIVATE, address, is a connection allowed?] */
const receivers = [
  ['https://h', [], '93.184.216.34', true], ['http://h', [], '93.184.216.34', false], ['https://h', [], '10.0.0.7', false],
  ['https://h', ['10.0.0.7'], '10.0.0.7', true], ['http://h', ['10.0.0.7'], '10.0.0.7', true],
  ['http://h', ['10.0.0.0/24'], '10.0.0.7', true], ['https://h', ['10.0.0.7'], '10.0.0.8', false],
  ['https://h', ['10.0.0.7'], '169.254.169.254', false], ['https://h', ['10.0.0.7'], '::1', false],
  ['https://h', ['10.0.0.7'], '93.184.216.34', true], ['http://h', ['10.0.0.7'], '93.184.216.34', false],
  ['http://h', ['fd00::/8'], 'fd12::1', true], ['http://h', ['fd00::/8'], 'fe80::1', false], ['http://h', ['::1'], '::1', true],
  ['http://h', ['10.0.0.7'], '::ffff:10.0.0.7', true], ['http://h', ['10.0.0.7'], '::ffff:10.0.0.8', false],
  ['http://h', ['10.0.0.7'], 'h', false]
] as const

t.test('private addresses are those that were named, and no others', async (t) => {
  for (const [url, named, address, expected] of receivers) {
    t.equal(receiversAt(new URL(url), named)(address), expected, `${url} [${named}] ${address}`)
  }
})

t.test('a name leads to its public addresses alone', async (t) => {
  t.same(await lookingUp([bad, good])(true), [good])
  t.same(await lookingUp([bad, good])(false), good)
  await t.rejects(lookingUp([bad])(true), PrivateAddressError)
  await t.rejects(lookingUp([bad, { address: '::1', family: 6 }])(false), PrivateAddressError)
  await t.rejects(lookingUp([])(true), PrivateAddressError)
  await t.rejects(lookingUp(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }))(true), { code: 'ENOTFOUND' })
})

t.test('each connection is judged by its own look-up: rebinding gains nothing', async (t) => {
  const look = lookingUp([good], [bad])
  t.same(await look(true), [good])
  await t.rejects(look(true), PrivateAddressError)
})
