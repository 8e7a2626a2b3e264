import type { InjectOptions } from 'fastify'
import t from 'tap'
import { limits } from '../../plugins/network-limits.js'
import { freshApp, type App } from '../helpers/app.js'
import { operationsOf } from '../helpers/operations.js'
import { expect, signUp } from '../helpers/person.js'

const LIMITED = { NETWORK_LIMITS: 'on' }

const open = await freshApp(t, LIMITED)
const behind = await freshApp(t, { ...LIMITED, TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8' })

type Headers = Record<string, string>

/** Returns how many of `times` requests pass the limit. They have no valid body, so the later refusal is cheap. */
async function passed (
  app: App, times: number, headers: (i: number) => Headers, options: InjectOptions = { method: 'POST', url: '/token' }
): Promise<number> {
  const answers = await Promise.all(Array.from({ length: times }, (_, i) => app.inject({ ...options, headers: headers(i) })))
  return answers.filter(({ statusCode }) => statusCode !== 429).length
}

const forwarded = (address: string): Headers => ({ 'x-forwarded-for': address })

t.test('L1 a peer that is not listed gains nothing from its forwarding headers', async (t) => {
  const claims: Record<string, (i: number) => Headers> = {
    'X-Forwarded-For': (i) => forwarded(`198.51.100.${i}`),
    'a chain of them': (i) => forwarded(`198.51.100.${i}, 192.0.2.${i}, 127.0.0.1`),
    Forwarded: (i) => ({ forwarded: `for=198.51.100.${i}` }),
    'X-Real-IP and others': (i) => ({
      'x-real-ip': `198.51.100.${i}`,
      'true-client-ip': `198.51.100.${i}`,
      'cf-connecting-ip': `198.51.100.${i}`,
      'x-client-ip': `198.51.100.${i}`
    })
  }
  let n = 0
  for (const [what, headers] of Object.entries(claims)) {
    for (const { app } of [open, behind]) {
      t.equal(await passed(app, 40, headers, { method: 'POST', url: '/token', remoteAddress: `100.64.0.${++n}` }), limits.token.max, what)
    }
  }
})

t.test('L1 a listed proxy\'s word counts, and only its own', async (t) => {
  const { app } = behind
  t.equal(await passed(app, 40, (i) => forwarded(`198.51.100.${i}`)), 40, 'forty clients')
  t.equal(await passed(app, 40, () => forwarded('203.0.113.1')), limits.token.max, 'one client')
  t.equal(
    await passed(app, 40, (i) => forwarded(`198.51.100.${i}, 203.0.113.2`)),
    limits.token.max,
    'an entry of the client before the proxy\'s'
  )
  t.equal(await passed(app, 40, (i) => forwarded(`198.51.100.${i}, 203.0.113.3, 10.1.2.3`)), limits.token.max, 'two proxies')
  t.equal(await passed(app, 40, (i) => forwarded(`nonsense ${i}`)), limits.token.max, 'all invalid addresses are one network')
  t.equal(await passed(app, 1, () => forwarded('203.0.113.4')), 1)
})

t.test('L1 IPv6 counts by /64, a mapped address as its IPv4', async (t) => {
  const { app } = behind
  t.equal(await passed(app, 40, (i) => forwarded(`2001:db8:1:2:${i.toString(16)}::${i}`)), limits.token.max)
  t.equal(await passed(app, 1, () => forwarded('2001:db8:1:3::1')), 1)
  t.equal(await passed(app, 40, (i) => forwarded(i % 2 === 0 ? '192.0.2.9' : '::ffff:192.0.2.9')), limits.token.max)
  t.equal(await passed(app, 1, () => forwarded('::ffff:c000:0209')), 0, 'in hexadecimal too')
})

t.test('L1 the stored address of a log-in is that address too', async (t) => {
  const { app, db } = open
  const ada = await signUp(app, 'kept')
  const logIn = async (password: string) =>
    await app.inject({ method: 'POST', url: '/token', headers: forwarded('198.51.100.7'), payload: { username: 'kept', password } })
  expect(200, await logIn(ada.password))
  t.same(await db.query('select network from account_network'), [{ network: '127.0.0.1' }])
  t.same(await db.query('select ip from otp_session'), [{ ip: '127.0.0.1' }])
})

/** [size of the budget, requests that share it] */
const spellings = [
  [
    limits.token.max,
    [
      ['POST', '/token'], ['POST', '/token/'], ['POST', '/%74oken'], ['POST', '/token?x=1'], ['POST', '/%74%6f%6B%65%6e/']
    ]
  ],
  [
    limits.code.max,
    [
      ['POST', '/totp/login'], ['POST', '/totp/login/'], ['POST', '/totp/%6cogin'], ['POST', '/totp/recovery_code/login'],
      ['POST', '/totp/recovery%5Fcode/login/']
    ]
  ],
  [
    limits.other.max,
    [
      ['GET', '/totp/status'], ['HEAD', '/totp/status'], ['GET', '/totp/status/'], ['GET', '/totp/%73tatus'],
      ['HEAD', '/totp/status?x'], ['GET', '/TOTP/status'], ['GET', '/nothing/here'], ['GET', '/account']
    ]
  ],
  [
    limits.reads.max,
    [
      ['GET', '/session'], ['HEAD', '/session'], ['POST', '/session/'], ['DELETE', '/session/x/y'], ['GET', '/%73ession'],
      ['GET', '/session?required']
    ]
  ]
] as const

t.test('L3 method, trailing slash, percent-encoding, query and twins share the route\'s budget', async (t) => {
  const { app } = behind
  for (const [max, ways] of spellings) {
    const status = async ([method, url]: readonly [InjectOptions['method'], string]) =>
      (await app.inject({ method: method!, url, headers: forwarded('192.0.2.50') })).statusCode
    // One after the other: with hundreds at once this process may miss Redis' time limit and count locally.
    let refused = 0
    for (let i = 0; i < max; i++) if (await status(ways[i % ways.length]!) === 429) refused++
    t.equal(refused, 0, `${max} pass`)
    for (const way of ways) t.equal(await status(way), 429, way.join(' '))
  }
})

/** Probes, metrics, and services with a key of their own belong to the operator. */
const UNLIMITED = ['checkLiveness', 'checkReadiness', 'followRevocations', 'getMetrics']

t.test('L3 every operation of the document counts unauthenticated requests before it reads their token', async (t) => {
  const { app } = behind
  const headers = forwarded('192.0.2.51')
  for (const [max, [[method, url]]] of spellings) for (let i = 0; i < max; i++) await app.inject({ method, url, headers })
  for (let i = 0; i < limits.signUp.max; i++) await app.inject({ method: 'POST', url: '/users', headers })
  for (let i = 0; i < limits.mail.max; i++) await app.inject({ method: 'POST', url: '/password/forgot', headers })
  const operations = operationsOf(app).filter(({ id }) => !UNLIMITED.includes(id))
  t.ok(operations.length > 12)
  for (const { id, method, url } of operations) {
    t.equal((await app.inject({ method, url, headers: { ...headers, authorization: 'Bearer a.b.c' } })).statusCode, 429, id)
  }
})

t.test('L3 another case is another path: it reaches nothing', async (t) => {
  const { app } = open
  const ada = await signUp(app, 'case')
  expect(200, await ada.login())
  for (const url of ['/TOKEN', '/Session', '/totp/STATUS', '//session', '/ACCOUNT']) {
    t.equal((await ada.request('GET', url)).statusCode, 404, url)
  }
})

t.test('L3 set-ups are counted per user, over both methods, all sessions and networks; another user has another budget', async (t) => {
  const { app } = behind
  const [ada, bob] = [await signUp(app), await signUp(app, 'bob')]
  const phone = ada.elsewhere()
  for (const person of [ada, phone, bob]) expect(200, await person.login())
  const create = async (person: typeof ada, method: 'GET' | 'POST' | 'HEAD', from: string) =>
    (await app.inject({ method, url: '/totp/create', headers: { authorization: `Bearer ${person.access}`, ...forwarded(from) } }))
      .statusCode
  const statuses: number[] = []
  for (let i = 0; i < limits.enrol.max; i++) {
    statuses.push(await create(i % 3 === 0 ? phone : ada, i % 2 === 0 ? 'GET' : 'POST', `198.51.100.${i}`))
  }
  t.same(new Set(statuses), new Set([201]))
  for (const person of [ada, phone]) {
    for (const method of ['GET', 'POST'] as const) {
      t.equal(await create(person, method, '203.0.113.9'), 429)
    }
  }
  t.equal(await create(ada, 'HEAD', '203.0.113.9'), 404, 'HEAD changes nothing, so there is none')
  t.equal(await create(bob, 'POST', '203.0.113.9'), 201)
})
