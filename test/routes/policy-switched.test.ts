import t from 'tap'
import { freshApp, type App, type Fresh } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'
import { opensOnlyTheSetUp } from '../helpers/set-up.js'
import { idOf, staffAt } from '../helpers/staff.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const DAY = 24 * 3600

/** Longer lifetimes, because the tests move the clock by days. */
const long = { REFRESH_SECONDS: '31536000', SESSION_SECONDS: '31536000', ACCESS_SECONDS: '86400' }

async function covered (fresh: Fresh, value: string): Promise<void> {
  await until('every session to be covered', async () =>
    (await fresh.db.query("select from account_policy where name = 'otp_covered' and value = $1", [value])).length === 1)
}

t.test('switched on: whoever is there already has the grace from then on, living sessions included', async (t) => {
  const fresh = await freshApp(t, long)
  const { app, clock } = fresh
  const ada = await signUp(app)
  await ada.login()
  const bob = await (await signUp(app, 'bob')).enrol()
  await clock.advance(200 * DAY)
  await ada.refreshTokens()
  expect(200, await ada.request('GET', '/account'))

  const switchedAt = (await clock.now()).getTime()
  const replica: App = await fresh.another({ OTP_POLICY: 'required', OTP_GRACE_DAYS: '14' })
  await covered(fresh, 'required 14')
  const told = new Date((await ada.request('GET', '/totp/status')).json().otpDeadline).getTime()
  t.ok(Math.abs(told - (switchedAt + 14 * DAY * 1000)) < 60_000, 'the living session: 14 days from the switch')
  await bob.refreshTokens()
  t.equal((await bob.request('GET', '/totp/status')).json().otpDeadline, null)
  t.equal(new Date((await ada.elsewhere().login()).json().otpDeadline).getTime(), told, 'a replica that was started before agrees')

  await clock.advance(14 * DAY + 60)
  await ada.refreshTokens()
  const [named] = await fresh.db.query(
    'select ended_xid is not null as named from otp_session where ended_at is null and user_id = $1', [idOf(ada)]
  )
  t.same(named, { named: true }, 'a refresh between two readings does not hide the change')
  const there = ada.elsewhere(replica)
  there.access = ada.access
  await opensOnlyTheSetUp(t, there)
  await until('the replica that has the session in its local cache to know', async () =>
    (await ada.request('GET', '/account')).statusCode === 403, 5_000)

  const again = await fresh.another({ OTP_POLICY: 'required', OTP_GRACE_DAYS: '14' })
  t.equal(new Date((await ada.elsewhere(again).login()).json().otpDeadline).getTime(), told, 'another start does not begin it anew')

  await fresh.another({ OTP_POLICY: 'required', OTP_GRACE_DAYS: '30' })
  await covered(fresh, 'required 30')
  t.equal(
    new Date((await ada.elsewhere().login()).json().otpDeadline).getTime(), told + 16 * DAY * 1000,
    'more grace counts from the same day'
  )

  const off = await fresh.another({ OTP_POLICY: 'optional' })
  await covered(fresh, 'optional 14')
  const free = ada.elsewhere(off)
  free.access = ada.access
  t.equal((await free.request('GET', '/totp/status')).json().otpDeadline, null, 'switched off, the deadline is gone')
  t.equal((await free.request('GET', '/account')).statusCode, 200)
})

t.test('a session that began under the policy of before, while it was switched, is covered by the second look', async (t) => {
  const fresh = await freshApp(t)
  const ada = await signUp(fresh.app)
  const replica = await fresh.another({ OTP_POLICY: 'required', OTP_GRACE_DAYS: '0' })
  await until(
    'the first look to be over', async () => (await fresh.db.query("select from account_policy where value = 'required'")).length === 1
  )
  await ada.login()
  // As after a log-in that read the old policy.
  await fresh.db.query('update otp_session set otp_deadline = null')
  await covered(fresh, 'required 0')
  const there = ada.elsewhere(replica)
  there.access = ada.access
  await opensOnlyTheSetUp(t, there)
})

t.test('four replicas that start at once put one policy in force, and 1 200 sessions are covered page by page', async (t) => {
  const fresh = await freshApp(t)
  const grace = await staffAt(fresh)
  const ada = await signUp(fresh.app)
  await ada.login()
  await fresh.db.query(`
    insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent)
    select $1, 'generated ' || n, clock_timestamp(), clock_timestamp() + interval '1 day', clock_timestamp(), '{pwd}', false,
      clock_timestamp(), '', ''
    from generate_series(1, 1200) n`, [idOf(ada)])
  await Promise.all(Array.from({ length: 4 }, () => fresh.another({ OTP_POLICY: 'required', OTP_GRACE_DAYS: '7' })))
  await covered(fresh, 'required 7')
  const [deadlines] = await fresh.db.query<{ distinct: number, missing: number }>(`
    select count(distinct otp_deadline)::int as distinct, count(*) filter (where otp_deadline is null)::int as missing
    from otp_session where user_id = $1`, [idOf(ada)])
  t.same(deadlines, { distinct: 1, missing: 0 })
  const [verified] = await fresh.db.query(
    'select count(otp_deadline)::int as n from otp_session where user_id = $1 and otp_device_id is not null', [idOf(grace)]
  )
  t.same(verified, { n: 0 }, 'a verified session has none')
})
