import { Writable } from 'node:stream'
import Fastify from 'fastify'
import t from 'tap'
import { originOf } from '../../routes/requester.js'
import { freshApp } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { logInFrom } from '../helpers/logins.js'
import { expect, signUp } from '../helpers/person.js'
import { trustProxies } from '../../src/config/trusted-proxies.js'

/*
 * Behind a proxy that writes X-Forwarded-For with a port, the network of every client was `unknown`: ten wrong passwords of
 * strangers locked the owner out, and the owner's log-in made that network known for all clients.
 */

const shared = await freshApp(t, { TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8' })

/** One address in each spelling, and one through two proxies. */
const spelt = (v4: string, v6: string) => [
  `${v4}:50001`, `[${v6}]:50001`, `[${v6}]`, `[::ffff:${v4}]:9`, `64:ff9b::${v4}`, `${v4}, 10.0.0.9:443`, `${v4}:7, [::ffff:10.0.0.9]:443`
]
const OWNERS = spelt('203.0.113.1', '2001:db8:1:2::1')
const STRANGERS = spelt('198.51.100.7', '2001:db8:9:9::1')
const UNREADABLE = [
  'unknown', '_obfuscated', '203.0.113.1:http', 'for=203.0.113.1', '"203.0.113.1"', 'x'.repeat(4_000), '203.0.113.1, -', '10.0.0.1:443:443'
]

for (const [i, home] of OWNERS.entries()) {
  t.test(`L1 P4 strangers at ${STRANGERS[i]} do not lock out the owner at ${home}`, async (t) => {
    const { app, db } = await emptied(shared)
    const ada = await signUp(app)
    for (let n = 0; n < 10; n++) t.equal((await logInFrom(app, STRANGERS[i]!, 'ada', 'a guess')).statusCode, 401)
    t.equal((await logInFrom(app, STRANGERS[i]!, 'ada', ada.password)).statusCode, 429)
    expect(200, await logInFrom(app, home, 'ada', ada.password))
    const address = home.includes('2001') ? '2001:db8:1:2::1' : '203.0.113.1'
    t.same(await db.query('select distinct ip from otp_session'), [{ ip: address }], 'the stored value is the address')
    t.same(await db.query("select distinct ip from otp_event where kind = 'logged_in'"), [{ ip: address }])
    const network = home.includes('2001') ? '2001:db8:1:2::/64' : address
    t.same(await db.query('select network from account_network'), [{ network }])
  })
}

t.test('L1 P4 an unreadable address counts as its proxy\'s, never as a known network, and has its own budget', async (t) => {
  const { app, db } = await emptied(shared)
  const ada = await signUp(app)
  for (const claimed of UNREADABLE) {
    const answer = expect(200, await logInFrom(app, claimed, 'ada', ada.password))
    const { access } = answer.json<{ access: string }>()
    const headers = { authorization: `Bearer ${access}`, 'x-forwarded-for': claimed }
    const sessions = await app.inject({ url: '/account/sessions', headers })
    t.notOk(sessions.body.includes(claimed), 'nothing of it is shown')
  }
  t.same(await db.query('select distinct ip from otp_session'), [{ ip: '127.0.0.1' }])
  t.same(await db.query('select network from account_network'), [])
  for (let n = 0; n < 10; n++) await logInFrom(app, `unreadable ${n}`, 'ada', 'a guess')
  t.equal((await logInFrom(app, 'another', 'ada', ada.password)).statusCode, 429, 'one network')
  t.equal((await logInFrom(app, '10.0.0.1', 'ada', ada.password)).statusCode, 200)
  t.equal((await ada.login()).statusCode, 200, 'the proxy\'s own machine is another one')
})

t.test('L1 an address of a listed proxy in any spelling is a proxy\'s', async (t) => {
  const trust = trustProxies(['10.0.0.0/8', '2001:db8::/32', '64:ff9b::/96', 'fe80::1', 'unix']) as (address?: string) => boolean
  const proxies = ['10.1.2.3', '10.1.2.3:443', '::ffff:10.1.2.3', '[::FFFF:10.1.2.3]:443', '64:ff9b::a01:203', '64:ff9b::203.0.113.1',
    '[2001:DB8::1]:443', 'fe80::1%eth0', '', undefined]
  const others = ['203.0.113.1', '203.0.113.1:10', '2001:db9::1', 'unknown', '10.1.2.3:x', '10.1', 'fe80::2', 'unix']
  for (const proxy of proxies) t.ok(trust(proxy), String(proxy))
  for (const other of others) t.notOk(trust(other), other)
  t.notOk((trustProxies(['10.0.0.0/8']) as (address?: string) => boolean)(undefined), 'a Unix socket is trusted by name')
  t.equal(trustProxies([]), false)
})

t.test('L1 a host without an address in `request.ip` is served', async (t) => {
  for (const ip of [undefined, null, 7, {}]) {
    const host = Fastify()
    t.teardown(() => host.close())
    host.get('/', async (request) => originOf(Object.defineProperty(request, 'ip', { value: ip })))
    const answer = await host.inject({ url: '/', remoteAddress: '192.0.2.1' })
    t.match(answer.json(), { ip: '192.0.2.1', network: /^behind/ }, String(ip))
  }
})

t.test('L1 an operator reads once that addresses cannot be read', async (t) => {
  const lines: Array<{ level: number, msg: string, claimed?: string }> = []
  const stream = new Writable({ write (line: Buffer, _encoding, done) { lines.push(JSON.parse(line.toString())); done() } })
  const host = Fastify({ trustProxy: trustProxies(['127.0.0.1']), logger: { level: 'warn', stream } })
  t.teardown(() => host.close())
  host.register(async (scope) => { scope.get('/inside', async (request) => originOf(request)) })
  host.get('/', async (request) => originOf(request))
  const asked = [['/', '203.0.113.1:443'], ['/', '_a\n'.repeat(9)], ['/inside', '_b'], ['/', '']] as const
  for (const [url, claimed] of asked) await host.inject({ url, headers: { 'x-forwarded-for': claimed } })
  t.equal(lines.length, 1)
  t.match(lines[0], { level: 40, peer: '127.0.0.1' })
  t.ok(lines[0]!.claimed!.length <= 64)
})
