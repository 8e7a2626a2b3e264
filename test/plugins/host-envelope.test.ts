import t from 'tap'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { outcome } from '../helpers/answers.js'
import { need } from '../helpers/need.js'
import { plainHost } from '../helpers/plain-host.js'

/*
 * A host with an envelope, `{ data, at }`, in a `preSerialization` hook for the whole app was answered 500 by our routes: after a new
 * set of recovery codes was made, and the old ones were dead.
 */

await need('postgres')

/** [name, hook, how to read our answer] */
const envelopes: ReadonlyArray<readonly [string, (payload: unknown) => unknown, (answer: LightMyRequestResponse) => any]> = [
  ['wraps', (payload) => ({ data: payload, at: 'noon' }), (answer) => answer.json().data],
  ['wraps as text', (payload) => JSON.stringify({ data: payload }), (answer) => JSON.parse(answer.json()).data],
  ['changes the payload itself', (payload) => Object.assign(payload as object, { at: 'noon' }), (answer) => answer.json()],
  ['passes on', (payload) => payload, (answer) => answer.json()]
]
const withHook = (hook: (payload: unknown) => unknown) => (app: FastifyInstance) => {
  app.addHook('preSerialization', async (_request, _reply, payload) => hook(payload))
}

for (const [name, hook, read] of envelopes) {
  t.test(`a host whose preSerialization hook ${name}: each of our routes answers what it shows`, async (t) => {
    const { ask, db, app } = await plainHost(t, { before: withHook(hook) })
    const ada = { user: 'ada', session: 'one' }
    t.match(read(await ask(ada, 'GET', '/totp/status')), { isOtpEnabled: false, methods: [], otpDeadline: null })
    const created = await ask(ada, 'POST', '/totp/create')
    t.equal(created.statusCode, 201)
    t.match(read(created), { otpUrl: /^otpauth:/, recoveryCodes: { length: 5 }, expiresAt: /^\d{4}-.*Z$/ })
    t.match(created.headers, { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' })
    t.equal((await ask(ada, 'DELETE', '/totp/rollback')).statusCode, 200)
    t.equal(outcome(await app.inject({ method: 'HEAD', url: '/totp/status', headers: ada })), '200')

    const refused = await ask(ada, 'POST', '/totp/login', { token: '000000' })
    t.equal(refused.statusCode, 400)
    t.match(refused.body, /OTP_NOT_SET_UP/)
    t.equal((await db.query('select from countersign.otp_device')).length, 0)
  })
}

t.test('recovery codes that are made anew are shown, and the ones that are shown are the ones that count', async (t) => {
  const { ask, enrol } = await plainHost(t, { before: withHook((data) => ({ data })) })
  const { verified, recoveryCodes } = await enrol('ada')
  const made = await ask(verified, 'POST', '/totp/recovery_code/create')
  t.equal(made.statusCode, 201)
  const { data: [code] } = made.json<{ data: string[] }>()
  const other = { user: 'ada', session: 'two' }
  t.equal(outcome(await ask(other, 'POST', '/totp/recovery_code/login', { token: recoveryCodes[0]! })), '400 RECOVERY_CODE_INVALID')
  const used = await ask(other, 'POST', '/totp/recovery_code/login', { token: code! })
  t.match([used.statusCode, used.json()], [200, { data: { recoveryCodesLeft: 4, session: String } }])
})

t.test('a hook sees no field that the schema does not have', async (t) => {
  const seen: object[] = []
  const { enrol, ask } = await plainHost(t, { before: withHook((payload) => { seen.push(payload as object); return payload }) })
  const { verified } = await enrol('ada')
  const answer = await ask(verified, 'GET', '/totp/devices')
  t.same(seen.at(-1), answer.json())
})
