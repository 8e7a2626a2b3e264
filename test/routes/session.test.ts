import { METHODS as NODE_METHODS } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { InjectOptions } from 'fastify'
import { freshApp } from '../helpers/app.js'
import { faultsOfRefusal } from '../helpers/error-shape.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { rawRequest } from '../helpers/raw-http.js'

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'] as const
const PATHS = [
  '/session', '/session/', '/session/a/b/c', '/session/..%2faccount', '/session//x', '/session/a%00b', '/session/%F0%9F%94%91',
  '/session/*', '/sess%69on/x'
] as const

const { app, clock } = await freshApp(t)
const owner = await signUp(app)
await owner.enrol()
const unverified = owner.elsewhere()
expect(200, await unverified.login())
const optional = await signUp(app, 'optional')
expect(200, await optional.login())
const ask = async (who: Person | null, url: string, options: InjectOptions = {}) =>
  await app.inject({
    method: 'GET', url, ...options, headers: { ...options.headers, ...(who === null ? {} : { authorization: `Bearer ${who.access}` }) }
  })

t.test('T9 L3 any method on any path below asks the same guard and gets the same answer', async (t) => {
  const expected = (await ask(owner, '/session')).json()
  t.match(expected, {
    userId: owner.claims().sub,
    sessionId: owner.claims().sid,
    otpDeviceId: owner.deviceId,
    otpTime: owner.claims().otp_time,
    expiresAt: /^\d{4}-.*Z$/
  })
  for (const url of PATHS) {
    for (const method of METHODS) {
      const answer = await ask(owner, url, { method: method as 'GET' })
      t.equal(answer.statusCode, 200, `${method} ${url}`)
      if (method !== 'HEAD') t.same(answer.json(), expected, `${method} ${url}`)
      t.match(answer.headers, {
        'x-user-id': expected.userId,
        'x-session-id': expected.sessionId,
        'x-otp-device-id': expected.otpDeviceId,
        'x-otp-verified': 'true',
        'cache-control': 'no-store'
      })
      t.equal((await ask(null, url, { method: method as 'GET' })).statusCode, 401, `${method} ${url} without a token`)
      const refused = await ask(unverified, url, { method: method as 'GET' })
      t.equal(refused.statusCode, 403, `${method} ${url} unverified`)
      t.notOk('x-user-id' in refused.headers, 'a refusal names nobody')
      t.equal(refused.headers['x-refusal'], 'OTP_REQUIRED', 'a refusal says its code to gateways that see no bodies')
    }
  }
  t.equal((await ask(owner, '/sessions')).statusCode, 404)
  t.equal((await ask(owner, '/SESSION')).statusCode, 404)
})

t.test('every method that Node knows gets that answer, without and with a body', async (t) => {
  for (const method of NODE_METHODS.filter((name) => name !== 'CONNECT') as Array<'GET'>) {
    for (const url of ['/session', '/session/x']) {
      for (const body of [{}, { payload: 'x' }, { payload: '{', headers: { 'content-type': 'application/json' } }]) {
        const about = `${method} ${url} ${JSON.stringify(body)}`
        t.equal((await ask(owner, url, { method, ...body })).statusCode, 200, about)
        t.equal((await ask(unverified, url, { method, ...body })).statusCode, 403, about)
      }
    }
  }
})

t.test('E4 whatever body the asked-about request has, it is not read', async (t) => {
  for (const [type, payload] of [
    ['application/json', '{'], ['application/json', '[1]'], ['text/plain', 'x'], ['multipart/form-data; boundary=x', '--x'],
    ['application/x-www-form-urlencoded', 'a=b'], ['application/json; charset=utf-16', '\0'], ['nonsense', 'x'], ['', 'x']
  ] as const) {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
      const answer = await ask(owner, '/session/upload', { method, payload, headers: { 'content-type': type, 'content-encoding': 'gzip' } })
      t.equal(answer.statusCode, 200, `${method} ${type}`)
      t.equal((await ask(unverified, '/session/upload', { method, payload, headers: { 'content-type': type } })).statusCode, 403)
    }
  }
})

t.test('E4 an announced body that never comes, or a large one, keeps no gateway waiting', async (t) => {
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  for (const length of ['Content-Length: 5', 'Content-Length: 100000000']) {
    const { statusCode, elapsedMs } = await rawRequest(port,
      `POST /session/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${owner.access}\r\n` +
      `Content-Type: application/octet-stream\r\n${length}\r\nConnection: close\r\n\r\n`)
    t.ok([200, 413].includes(statusCode), `${length}: ${statusCode}`)
    t.ok(elapsedMs < 3_000, `${length}: ${Math.round(elapsedMs)} ms`)
  }
})

t.test('`required` and `maxAge` only ever ask for more', async (t) => {
  for (const query of ['required', 'required=', 'required=true', 'required=false', 'required=0', '%72equired', 'required&maxAge=9999']) {
    t.equal((await ask(owner, `/session?${query}`)).statusCode, 200, query)
    const refused = await ask(optional, `/session/x?${query}`)
    t.equal(refused.statusCode, 403, query)
    t.equal(refused.json().code, 'OTP_REQUIRED')
  }
  t.equal((await ask(optional, '/session')).statusCode, 200, '2FA is optional')
  t.equal((await ask(optional, '/session?maxAge=300')).statusCode, 200, 'the password is that recent')

  for (const maxAge of ['', '-1', '1e9', '1.5', ' 5', '0x10', 'NaN', 'Infinity', '9999999999', '５', '5,9', 'null', 'true', '%00', '5%0a']) {
    const answer = await ask(owner, `/session/x?maxAge=${maxAge}`)
    t.equal(answer.statusCode, 400, maxAge)
    t.same(faultsOfRefusal(answer), [])
  }
  for (const query of ['maxAge=1&maxAge=9999', 'maxAge=9999&maxAge=1', 'maxAge&maxAge', `access_token=${owner.access}`]) {
    t.equal((await ask(owner, `/session?${query}`)).statusCode, 400, query)
  }
  t.equal((await ask(owner, '/session/x?maxAge&maxAge')).statusCode, 400)
  t.equal((await ask(owner, `/session/x?access_token=${owner.access}`)).statusCode, 400)

  await clock.advance(60)
  for (const maxAge of ['0', '1', '59', '0059']) {
    const stale = await ask(owner, `/session?maxAge=${maxAge}`)
    t.match(stale.json(), { code: 'OTP_STALE', maxAgeSeconds: Number(maxAge) }, maxAge)
    t.match(stale.headers['www-authenticate'], new RegExp(`max_age="${Number(maxAge)}"`))
    t.same(faultsOfRefusal(stale), [])
  }
  t.equal((await ask(owner, '/session?maxAge=300')).statusCode, 200)
  // A gateway passes on its client's query: unknown names are no demand.
  for (const query of ['page=2', '__proto__=1', 'maxAge[]=1', 'a=%zz', '=', '&&']) {
    t.equal((await ask(owner, `/session/x?${query}`)).statusCode, 200, query)
  }
})

t.test('K4 `phishingResistant` asks for a passkey, with the challenge of RFC 9470', async (t) => {
  const queries = [['phishingResistant', ''], ['phishingResistant=false&required', ''], ['phishingResistant&maxAge=60', '60']]
  for (const [query, maxAge] of queries) {
    for (const who of [owner, unverified]) {
      const refused = await ask(who, `/session?${query}`)
      t.match(refused.json(), { code: 'PHISHING_RESISTANT_REQUIRED', ...(maxAge === '' ? {} : { maxAgeSeconds: 60 }) })
      t.equal(refused.headers['www-authenticate'], 'Bearer error="insufficient_user_authentication", acr_values="phr"' +
        (maxAge === '' ? '' : `, max_age="${maxAge}"`))
      t.same(faultsOfRefusal(refused), [])
    }
    t.match((await ask(optional, `/session?${query}`)).json(), { code: 'OTP_REQUIRED' }, 'of a user without a factor: one must be set up')
  }
  t.equal((await ask(owner, '/session/x?PHISHINGresistant')).statusCode, 403, 'a client below can only ask for more')
  t.equal((await ask(owner, '/session?PhishingResistant')).statusCode, 400)
})

t.test('what a client sends under our names never comes back as ours', async (t) => {
  const forged = {
    'x-user-id': 'root',
    'x-session-id': 'root',
    'x-otp-device-id': 'recovery',
    'x-otp-verified': 'true',
    'x-forwarded-for': '10.0.0.1',
    'x-original-url': '/livez',
    'x-http-method-override': 'GET'
  }
  const answer = await ask(optional, '/session/x', { headers: forged })
  t.match(answer.headers, { 'x-user-id': optional.claims().sub, 'x-session-id': optional.claims().sid })
  t.equal(answer.headers['x-otp-device-id'], '', 'always sent, empty if null')
  t.equal(answer.headers['x-otp-verified'], 'false', 'never empty')
})

t.test('user ids of a host may be anything: the headers carry them percent-encoded', async (t) => {
  // The service's ids are UUIDs. The route reads the guard's result, so a guard of this test returns other ids.
  const { default: Fastify } = await import('fastify')
  const { default: sessionRoutes } = await import('../../routes/session/index.js')
  for (const userId of ['a\r\nX-Admin: 1', 'ünï', 'a b', '%2e%2e', '👩‍💻', '"', '\0', 'x'.repeat(300)]) {
    const host = Fastify()
    const hook = Object.assign((request: { countersign?: object }, _reply: unknown, done: () => void) => {
      request.countersign = { userId, sessionId: userId, otpDeviceId: null, otpTime: null, expiresAt: 2_000_000_000 }
      done()
    }, {})
    const guards = { otpVerified: hook as never, contextOf: (request: { countersign: unknown }) => request.countersign as never }
    host.decorateRequest('countersign', null)
    await host.register(sessionRoutes, { prefix: '/session', guards })
    const answer = await host.inject('/session')
    t.equal(answer.statusCode, 200, JSON.stringify(userId))
    t.equal(answer.headers['x-user-id'], encodeURIComponent(userId))
    t.equal(decodeURIComponent(String(answer.headers['x-session-id'])), userId)
    t.notOk('x-admin' in answer.headers)
    await host.close()
  }
})
