import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { commandLine, resetOtp } from '../../src/staff/changes.js'
import { freshApp, type App } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { need } from '../helpers/need.js'
import { addPasskey } from '../helpers/passkeys.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { idOf, staffAt } from '../helpers/staff.js'

await need('postgres')

const shared = await freshApp(t)

const code = (answer: { json: () => { code?: string } }) => answer.json().code
const REASON = 'Lost the phone; came to the desk.'

async function reset (grace: Person, ada: Person): Promise<{ setupCode: string, expiresAt: string }> {
  return expect(200, await grace.request('POST', `/admin/users/${idOf(ada)}/reset-otp`, { reason: REASON })).json()
}

/** Logs in with a set-up code and keeps the tokens. */
async function loginWith (person: Person, setupCode: string, app: App = person.app) {
  const answer = await app.inject({
    method: 'POST', url: '/token', payload: { username: person.username, password: person.password, setupCode }
  })
  if (answer.statusCode === 200) person.access = answer.json().access
  return answer
}

t.test('R6 a reset ends everything, and the password alone opens nothing until a device is confirmed', async (t) => {
  const fresh = await emptied(shared)
  const { app, db } = fresh
  const grace = await staffAt(fresh)
  const ada = await (await signUp(app)).enrol()
  const [recoveryCode = ''] = ada.recoveryCodes
  await addPasskey(ada)
  const { setupCode, expiresAt } = await reset(grace, ada)
  t.match(setupCode, /^([0-9A-HJKMNP-TV-Z]{4}-){5}[0-9A-HJKMNP-TV-Z]{4}$/)
  t.ok(Math.abs(new Date(expiresAt).getTime() - Date.now() - 24 * 3600_000) < 60_000)
  t.equal(code(await ada.request('GET', '/account')), 'SESSION_ENDED')
  t.equal(code(await ada.refreshTokens()), 'SESSION_ENDED')
  t.same(
    await db.query(`
      select (select count(*) from otp_device d where d.user_id = $1)::int as devices,
        (select count(*) from otp_passkey p where p.user_id = $1)::int as passkeys,
        (select count(*) from otp_recovery_code c where c.user_id = $1)::int as codes`, [idOf(ada)]),
    [{ devices: 0, passkeys: 0, codes: 0 }]
  )

  t.equal(code(await ada.login()), 'SETUP_CODE_REQUIRED', 'a thief of the password')
  t.equal((await ada.login()).statusCode, 403)
  for (const wrong of ['0000-0000-0000-0000-0000-0000', recoveryCode, 'x', setupCode.slice(0, -1)]) {
    t.equal(code(await loginWith(ada, wrong)), 'SETUP_CODE_REQUIRED', wrong)
  }
  t.equal(
    code(await app.inject({ method: 'POST', url: '/token', payload: { username: 'ada', password: 'wrong wrong', setupCode } })),
    'CREDENTIALS_INVALID',
    'the code alone is nothing'
  )
  t.match((await grace.request('GET', `/admin/users/${idOf(ada)}`)).json(), { setupRequired: true, isOtpEnabled: false })

  const login = await loginWith(ada, setupCode.toLowerCase().replaceAll('-', ' '))
  t.equal(login.statusCode, 200)
  t.ok(new Date(login.json().otpDeadline).getTime() <= Date.now() + 1000, 'its deadline is its start')
  t.match(ada.claims(), { otp_required: true, otp_device_id: null }, 'T9 nor is its token enough for a service that verifies it by JWKS')
  for (const [method, url] of [
    ['GET', '/account'], ['GET', '/session'], ['DELETE', '/account'], ['GET', '/account/sessions'], ['POST', '/account/password']
  ] as const) {
    t.equal(code(await ada.request(method, url)), 'OTP_SETUP_REQUIRED', `${method} ${url}`)
  }
  t.equal(code(await ada.recover(recoveryCode)), 'RECOVERY_CODE_INVALID', 'the old codes are dead')
  t.equal(code(await loginWith(ada.elsewhere(), setupCode)), 'SETUP_CODE_REQUIRED', 'the code is used up')
  t.equal(code(await ada.elsewhere().login()), 'SETUP_CODE_REQUIRED', 'still, until a device is confirmed')
  expect(201, await ada.create())
  t.equal(code(await ada.elsewhere().login()), 'SETUP_CODE_REQUIRED', 'a pending device changes nothing')
  expect(200, await ada.confirm())
  t.equal((await ada.request('GET', '/account')).statusCode, 200)
  t.equal((await ada.elsewhere().login()).statusCode, 200, 'the password alone logs in again, to a session that owes a code')
  t.match((await grace.request('GET', `/admin/users/${idOf(ada)}`)).json(), {
    setupRequired: false, setupExpiresAt: null, isOtpEnabled: true
  })
  t.equal(code(await loginWith(ada.elsewhere(), 'whatever')), undefined, 'a code that is not required is ignored')
})

t.test('E5 both logs have the event: the actor, the reason and the user', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  const ada = await (await signUp(fresh.app)).enrol()
  const { setupCode } = await reset(grace, ada)
  await ada.login()
  await loginWith(ada, setupCode)
  expect(201, await ada.create())
  expect(200, await ada.confirm())
  const { events } = (await ada.request('GET', '/account/security-events?limit=5')).json<{
    events: Array<{ kind: string, detail: string | null }>
  }>()
  t.same(events.map(({ kind }) => kind).slice(0, 4), ['otp_enabled', 'setup_code_used', 'setup_code_refused', 'otp_reset'])
  t.equal(events[3]?.detail, REASON)
  const [theirs] = (await grace.request('GET', '/account/security-events?limit=1')).json().events
  t.match(theirs, { kind: 'otp_reset_issued', detail: `${idOf(ada)}: ${REASON}` })
  const seen = (await grace.request('GET', `/admin/users/${idOf(ada)}/events`)).json().events
  t.match(seen.find(({ kind }: { kind: string }) => kind === 'otp_reset'), { actorId: idOf(grace) })
  const written =
    JSON.stringify(await fresh.db.query('select * from otp_event')) + JSON.stringify(await fresh.db.query('select * from otp_user'))
  t.notOk(written.includes(setupCode) || written.includes(setupCode.replaceAll('-', '')), 'E3 the code stands nowhere')
})

t.test('P4 a right password without the code consumes a guess, as a wrong one does', async (t) => {
  const fresh = await emptied(shared)
  const grace = await staffAt(fresh)
  const ada = await (await signUp(fresh.app)).enrol()
  const { setupCode } = await reset(grace, ada)
  for (let i = 0; i < 10; i++) t.equal(code(await loginWith(ada, '0000-0000-0000-0000-0000-0000')), 'SETUP_CODE_REQUIRED')
  t.same(await fresh.db.query('select spent from password_budget where spent > 0'), [{ spent: 10 }, { spent: 10 }], 'here, and in all')
  t.equal(code(await loginWith(ada, setupCode)), 'RATE_LIMITED', 'also with the right code')
})

t.test('a set-up code is valid for a day; a new one replaces it and ends the sessions that began with it', async (t) => {
  const fresh = await emptied(shared)
  const { clock } = fresh
  const grace = await staffAt(fresh)
  const ada = await (await signUp(fresh.app)).enrol()
  const first = await reset(grace, ada)
  const second = await reset(grace, ada)
  t.equal(code(await loginWith(ada, first.setupCode)), 'SETUP_CODE_REQUIRED')
  expect(200, await loginWith(ada, second.setupCode))
  expect(201, await ada.create())
  const third = await reset(grace, ada)
  t.equal(code(await ada.confirm()), 'SESSION_ENDED', 'a set-up that was under way is over')
  await clock.advance(24 * 3600 + 1)
  t.equal(code(await loginWith(ada, third.setupCode)), 'SETUP_CODE_REQUIRED', 'too late')
  await grace.login()
  expect(200, await grace.verify())
  const fourth = await reset(grace, ada)
  await clock.advance(24 * 3600 - 60)
  t.equal((await loginWith(ada, fourth.setupCode)).statusCode, 200, 'just in time')
})

t.test('staff are reset from the command line alone', async (t) => {
  const fresh = await emptied(shared)
  const { app } = fresh
  const grace = await staffAt(fresh)
  const alan = await staffAt(fresh, 'alan')
  const refused = await grace.request('POST', `/admin/users/${idOf(alan)}/reset-otp`, { reason: REASON })
  t.equal(code(refused), 'STAFF_PROTECTED')
  t.equal((await alan.request('GET', '/account')).statusCode, 200)

  const { setupCode } = await resetOtp(insideOf(app), commandLine, idOf(alan), REASON)
  t.equal(code(await alan.request('GET', '/account')), 'SESSION_ENDED')
  t.equal((await loginWith(alan, setupCode)).statusCode, 200)
  t.equal(code(await alan.request('GET', '/admin/users')), 'OTP_SETUP_REQUIRED', 'a set-up session of staff is not staff')
  t.match(
    await fresh.db.query("select user_id, actor_id from otp_event where kind like 'otp_reset%'"),
    [{ user_id: idOf(alan), actor_id: 'command line' }],
    'one event: the command line is no user'
  )
})

t.test('a policy change does not change a set-up session', async (t) => {
  const fresh = await freshApp(t, { OTP_POLICY: 'required', OTP_GRACE_DAYS: '30' })
  const grace = await staffAt(fresh)
  const ada = await signUp(fresh.app)
  await ada.login()
  const { setupCode } = await reset(grace, ada)
  expect(200, await loginWith(ada, setupCode))
  t.equal(code(await ada.request('GET', '/account')), 'OTP_SETUP_REQUIRED', 'grace or not')
  const { coverSessions } = await import('../../src/sessions/policy.js')
  await fresh.db.query("update account_policy set value = 'optional' where name = 'otp_policy'")
  await coverSessions(fresh.app.database, null)
  const replica = await fresh.another({ OTP_POLICY: 'optional', OTP_GRACE_DAYS: '30' })
  const there = ada.elsewhere(replica)
  there.access = ada.access
  t.equal(code(await there.request('GET', '/account')), 'OTP_SETUP_REQUIRED')
})
