import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { isRefusal, Refusal } from '../../plugins/countersign.js'
import { refusals, type RefusalCode } from '../../src/core/refusals.js'
import { need } from '../helpers/need.js'
import { plainHost } from '../helpers/plain-host.js'

/*
 * An error handler of a host, or of a framework, may send the status and a message of its own. Code and challenge reach the client in
 * headers, which the hooks set before they throw.
 */

await need('postgres')

const thrown: unknown[] = []
const host = await plainHost(t, {
  before (app) {
    app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
      thrown.push(error)
      return reply.code(error.statusCode ?? 500).send({ sorry: true })
    })
  },
  after (app: FastifyInstance) {
    app.get('/invoices', { preHandler: app.otpVerified }, async () => ({}))
    app.get('/lately', { preHandler: app.otpVerified({ maxAge: 60 }) }, async () => ({}))
    app.get('/passkey', { preHandler: app.otpVerified({ phishingResistant: true, maxAge: 60 }) }, async () => ({}))
    app.get('/checked', async (request) => await app.countersign.check(request))
  }
})
const { app, ask, enrol, db } = host
const ada = await enrol('ada')
const stranger = { user: 'ada', session: 'another' }
const STEP_UP = 'Bearer error="insufficient_user_authentication"'

t.test('code and challenge are in headers, on routes of the host and on ours', async (t) => {
  const asked = async (...given: Parameters<typeof ask>) => {
    const { statusCode, headers } = await ask(...given)
    return [statusCode, headers['x-refusal'], headers['www-authenticate'], headers['retry-after']]
  }
  t.same(await asked(stranger, 'GET', '/invoices'), [403, 'OTP_REQUIRED', STEP_UP, undefined])
  t.same(await asked(stranger, 'GET', '/totp/devices'), [403, 'OTP_REQUIRED', STEP_UP, undefined])
  t.same(await asked(ada.verified, 'GET', '/passkey'), [
    403, 'PHISHING_RESISTANT_REQUIRED', `${STEP_UP}, acr_values="phr", max_age="60"`, undefined
  ])
  t.same(await asked(stranger, 'POST', '/totp/login', { token: 7 }), [400, 'REQUEST_INVALID', undefined, undefined])
  await db.clock.advance(301)
  await app.countersign.catchUp()
  t.same(await asked(ada.verified, 'GET', '/lately'), [403, 'OTP_STALE', `${STEP_UP}, max_age="60"`, undefined])
  t.same(await asked(ada.verified, 'DELETE', '/totp/delete'), [403, 'OTP_STALE', `${STEP_UP}, max_age="300"`, undefined])
  const anonymous = await app.inject('/invoices')
  t.match(anonymous.headers, { 'x-refusal': 'TOKEN_INVALID', 'www-authenticate': 'Bearer error="invalid_token"' })
  t.same(await asked(ada.verified, 'GET', '/invoices'), [200, undefined, undefined, undefined])
})

t.test('429 says when to try again', async (t) => {
  const bob = await enrol('bob')
  const thief = { user: 'bob', session: 'thief' }
  for (const code of ['000000', '111111', '222222', '333333', '444444', '555555', '666666', '777777']) {
    await ask(thief, 'POST', '/totp/login', { token: code })
  }
  const { statusCode, headers } = await ask(thief, 'POST', '/totp/login', { token: await bob.nextCode() })
  t.match([statusCode, headers], [429, { 'x-refusal': 'OTP_LOCKED', 'retry-after': /^[1-9]\d*$/ }])
  t.match(thrown.at(-1), { extensions: { code: 'OTP_LOCKED', retryAfterSeconds: Number(headers['retry-after']) } })
})

t.test('the second of two equal requests has the headers of its own refusal alone', async (t) => {
  const { verified: first, nextCode } = await enrol('cyd')
  const session = { user: 'cyd', session: 'second' }
  const token = await nextCode()
  t.equal((await ask(session, 'POST', '/totp/login', { token })).statusCode, 200)
  const { statusCode, headers } = await ask(session, 'POST', '/totp/login', { token })
  t.same([statusCode, headers['x-refusal'], headers['www-authenticate']], [400, 'OTP_INVALID', undefined])
  t.equal((await ask(first, 'GET', '/invoices')).statusCode, 200)
})

t.test('check() sets no headers, and rejects with the same refusal', async (t) => {
  thrown.length = 0
  const { statusCode, headers } = await ask(stranger, 'GET', '/checked')
  t.same([statusCode, headers['x-refusal'], headers['www-authenticate']], [403, undefined, undefined])
  t.match(thrown, [{
    code: 'OTP_REQUIRED',
    statusCode: 403,
    status: 403,
    expose: true,
    headers: { 'www-authenticate': STEP_UP },
    extensions: { code: 'OTP_REQUIRED' }
  }])
  t.ok(isRefusal(thrown[0]))
})

t.test('a refusal is told from any other error, also one of another copy of the package', async (t) => {
  for (const code of Object.keys(refusals) as RefusalCode[]) {
    const refusal = new Refusal(code, { hint: { key: 'setUpFirst' } })
    t.ok(isRefusal(refusal))
    t.match(refusal, { status: refusals[code][0], statusCode: refusals[code][0], expose: refusals[code][0] < 500 })
    t.same(Object.keys(refusal.extensions).filter((name) => !['code', 'retryAfterSeconds'].includes(name)), [])
  }
  const copy = `${new URL('../../src/core/refusals.js', import.meta.url).href}?copy`
  const { Refusal: Other } = await import(copy) as { Refusal: typeof Refusal }
  const foreign = new Other('OTP_REQUIRED')
  t.notOk(foreign instanceof Refusal)
  t.ok(isRefusal(foreign))
  for (const other of [new Error('OTP_REQUIRED'), { ...foreign }, null, undefined, 'Refusal', { name: 'Refusal', code: 'OTP_REQUIRED' }]) {
    t.notOk(isRefusal(other))
  }
})
