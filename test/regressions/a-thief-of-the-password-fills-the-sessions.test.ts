import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { expect, sessionsOf, signUp, userId, type Person } from '../helpers/person.js'

/*
 * An attacker with the password could start any number of sessions, thirty per minute and network. One statement with a
 * deadline ends all sessions of a user: with tens of thousands of them, recovery, change of password and reset were 503 for
 * ever.
 */

const { app, db } = await freshApp(t)

const MOST = 100

async function livingOf (person: Person): Promise<{ verified: number, unverified: number }> {
  const [living] = await db.query<{ verified: number, unverified: number }>(`
    select count(*) filter (where otp_device_id is not null)::int as verified,
      count(*) filter (where otp_device_id is null)::int as unverified
    from otp_session where user_id = $1 and ended_at is null`, [userId(person)])
  return living!
}

const crowdedOut = async () =>
  Number(/sessions_ended_total\{reason="session_evicted"\} (\d+)/.exec((await app.inject('/metrics')).body)?.[1] ?? 0)

t.test('P4 log-ins with only the password evict sessions of their own kind, never a verified one', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const phone = ada.elsewhere()
  expect(200, await phone.login())
  expect(200, await phone.verify())
  const thieves = await sessionsOf(ada, 149)
  // Some of the sessions begin at once, and do not see each other.
  thieves.push(...await sessionsOf(ada, 1))

  t.same(await livingOf(ada), { verified: 2, unverified: MOST })
  t.equal(await crowdedOut(), 50)
  for (const owner of [ada, phone]) {
    t.equal(outcome(await owner.request('GET', '/session')), '200')
    t.equal(outcome(await owner.refreshTokens()), '200')
  }
  t.equal(outcome(await thieves[0]!.request('GET', '/session')), '401 SESSION_ENDED', 'the oldest is refused here at once')
  t.equal(outcome(await thieves[0]!.refreshTokens()), '401 SESSION_ENDED')
  t.equal(outcome(await thieves[149]!.request('GET', '/session')), '403 OTP_REQUIRED', 'the newest goes on')

  const [owner] = await sessionsOf(ada, 1)
  t.equal(outcome(await owner!.recover(ada.recoveryCodes[0])), '200')
  t.same(await livingOf(ada), { verified: 3, unverified: 0 })
})

/** Logs in `count` times, one after the other, so that there is an oldest session. */
async function inOrder (person: Person, count: number): Promise<Person[]> {
  const sessions: Person[] = []
  while (sessions.length < count) sessions.push(...await sessionsOf(person, 1))
  return sessions
}

t.test('P4 among sessions of one kind the one that was idle longest is evicted first, an expired one before it', async (t) => {
  const bob = await signUp(app, 'bob')
  const [first, idle, expired, ...others] = await inOrder(bob, MOST) as [Person, Person, Person, ...Person[]]
  await db.query('update otp_session set expires_at = started_at where user_id = $1 and id = $2', [userId(first), expired.claims()['sid']])
  expect(200, await first.refreshTokens())
  await sessionsOf(bob, 1)
  t.equal(outcome(await idle.refreshTokens()), '200', 'the expired one made room')
  await sessionsOf(bob, 1)
  t.equal(outcome(await others[0]!.refreshTokens()), '401 SESSION_ENDED')
  t.equal(outcome(await first.refreshTokens()), '200')
  t.same(await livingOf(first), { verified: 0, unverified: MOST })
})

t.test('P4 a list of sessions has a limit', async (t) => {
  const eve = await signUp(app, 'eve')
  expect(200, await eve.login())
  await db.query(`
    insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, otp_device_id, otp_at, rotated_at, ip, agent)
    select user_id, gen_random_uuid(), started_at, expires_at, auth_at, amr, true, 'd',
      rotated_at - i * interval '1 second', rotated_at - i * interval '1 second', ip, agent
    from otp_session, generate_series(1, 300) i where user_id = $1`, [userId(eve)])
  const answer = expect(200, await eve.request('GET', '/account/sessions'))
  const listed = answer.json<Array<{ isThis: boolean }>>()
  t.equal(listed.length, 200)
  t.equal(listed[0]!.isThis, true, 'those last seen come first')
})
