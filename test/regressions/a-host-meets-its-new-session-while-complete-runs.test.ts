import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { MOST_REGISTERED } from '../../src/sessions/registration.js'
import { outcome, countOutcomes } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { secretOf, stepAt, totp } from '../helpers/authenticator.js'
import { askHost, fromHeaders } from '../helpers/header-host.js'
import { need } from '../helpers/need.js'

/*
 * A host makes its new session within `complete`, and requests may name it before `complete` returns. Such a request
 * registered the session, so the session replacement was refused, as for a session seen before: 500, the code consumed. And
 * a user's registered sessions had no limit.
 */

await need('postgres')
const { db, clock, anotherHost } = await freshHost(t)
const app = await anotherHost(fromHeaders)
const replica = await anotherHost(fromHeaders)
const at = Math.floor((await clock.now()).getTime() / 1000)

async function pendingCode (user: string, session: string): Promise<string> {
  const { otpUrl } = (await askHost(app, { user, session, at }, 'POST', '/totp/create', {})).json<{ otpUrl: string }>()
  return totp(secretOf(otpUrl), stepAt(await clock.now()))
}

t.test('J5 fifty requests that name the new session meanwhile, at two replicas: it is verified all the same', async (t) => {
  const next = { user: 'ada', session: 'next', at }
  const moving = await anotherHost({
    ...fromHeaders,
    async complete () {
      const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => askHost(i % 2 === 0 ? app : replica, next, 'GET', '/session')))
      t.same(countOutcomes(answers), { '403 OTP_REQUIRED': 50 }, 'not verified before the host has moved')
      return { sessionId: 'next', answer: {} }
    }
  })
  const token = await pendingCode('ada', 'first')
  t.equal(outcome(await askHost(moving, { user: 'ada', session: 'first', at }, 'POST', '/totp/login', { token })), '200')
  for (const host of [app, replica]) await insideOf(host).sessions.poll()
  for (const host of [moving, app, replica]) {
    t.equal(outcome(await askHost(host, next, 'GET', '/session?required')), '200')
    t.equal(outcome(await askHost(host, { ...next, session: 'first' }, 'GET', '/session')), '401 SESSION_ENDED')
  }
})

t.test('J5 the host may call move while requests for the new session are in flight', async (t) => {
  for (let i = 0; i < 5; i++) {
    const next = { user: `racer ${i}`, session: 'next', at }
    let rush: Promise<unknown> = Promise.resolve()
    const moving = await anotherHost({
      ...fromHeaders,
      complete () {
        rush = Promise.all(Array.from({ length: 8 }, (_, n) => askHost(n % 2 === 0 ? app : replica, next, 'GET', '/session')))
        return { sessionId: 'next', answer: {} }
      }
    })
    const token = await pendingCode(next.user, 'first')
    t.equal(outcome(await askHost(moving, { ...next, session: 'first' }, 'POST', '/totp/login', { token })), '200')
    await rush
    for (const host of [app, replica]) {
      await insideOf(host).sessions.poll()
      t.equal(outcome(await askHost(host, next, 'GET', '/session?required')), '200')
    }
  }
})

/** [state of the other session, how it comes to exist before the code is accepted] */
const before: ReadonlyArray<readonly [string, (user: string) => Promise<unknown>]> = [
  ['one that was seen before', (user) => askHost(app, { user, session: 'planted', at }, 'GET', '/session')],
  ['one that ended', async (user) => {
    await askHost(app, { user, session: 'planted', at }, 'GET', '/session')
    await app.countersign.reset(user, { actorId: 'support', reason: 'lost' })
  }]
]

t.test('J5 a session that an attacker may have known before is refused as the new session', async (t) => {
  for (const [what, plant] of before) {
    await plant(what)
    const planted = { user: what, session: 'planted', at }
    const moving = await anotherHost({
      ...fromHeaders,
      async complete () {
        await askHost(replica, planted, 'GET', '/session')
        return { sessionId: 'planted', answer: {} }
      }
    })
    const token = await pendingCode(what, 'first')
    t.equal((await askHost(moving, { ...planted, session: 'first' }, 'POST', '/totp/login', { token })).statusCode, 500, what)
    for (const host of [app, replica]) {
      await insideOf(host).sessions.poll()
      t.not(outcome(await askHost(host, planted, 'GET', '/session')), '200', what)
    }
  }
})

t.test('J5 a session that expired and begins again meanwhile is refused as the new session', async (t) => {
  const user = 'cyd'
  const { otpUrl } = (await askHost(app, { user, session: 'first', at }, 'POST', '/totp/create', {})).json<{ otpUrl: string }>()
  const code = async () => {
    await clock.advance(30)
    return totp(secretOf(otpUrl), stepAt(await clock.now()))
  }
  await askHost(app, { user, session: 'first', at }, 'POST', '/totp/login', { token: await code() })
  for (const session of ['planted', 'asking']) {
    t.equal(outcome(await askHost(app, { user, session, at }, 'GET', '/session')), '403 OTP_REQUIRED')
  }
  await db.query("update otp_session set expires_at = started_at where user_id = $1 and id = 'planted'", [user])
  const third = await anotherHost(fromHeaders)
  const moving = await anotherHost({
    ...fromHeaders,
    async complete () {
      t.equal(outcome(await askHost(third, { user, session: 'planted', at }, 'GET', '/session')), '403 OTP_REQUIRED', 'it begins again')
      return { sessionId: 'planted', answer: {} }
    }
  })
  t.equal((await askHost(moving, { user, session: 'asking', at }, 'POST', '/totp/login', { token: await code() })).statusCode, 500)
  await insideOf(third).sessions.poll()
  t.equal(outcome(await askHost(third, { user, session: 'planted', at }, 'GET', '/session')), '403 OTP_REQUIRED')
})

t.test('a user has a bounded number of registered sessions: the oldest unverified one ends, with an event, at every replica', async (t) => {
  const user = 'bob'
  const token = await pendingCode(user, 'first')
  const { session } = (await askHost(app, { user, session: 'first', at }, 'POST', '/totp/login', { token })).json<{ session: string }>()
  await db.query(`
    insert into otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent)
    select $1, 'old ' || n, test_clock.clock_timestamp() - make_interval(secs => n),
      test_clock.clock_timestamp() + interval '1 day', test_clock.clock_timestamp(), '{pwd}', true,
      test_clock.clock_timestamp() - make_interval(secs => n), '', '' from generate_series(1, ${MOST_REGISTERED}) n`, [user])
  const oldest = { user, session: `old ${MOST_REGISTERED}`, at }
  t.equal(outcome(await askHost(replica, oldest, 'GET', '/session')), '403 OTP_REQUIRED')
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, i) => askHost(i % 2 === 0 ? app : replica, { user, session: `new ${i}`, at }, 'GET', '/session'))
  )
  t.same(countOutcomes(answers), { '403 OTP_REQUIRED': 8 })
  const living = await db.query<{ n: number }>(
    'select count(*)::int as n from otp_session where user_id = $1 and ended_at is null and otp_device_id is null', [user]
  )
  t.equal(living[0]!.n, MOST_REGISTERED)
  t.same(
    await db.query(
      "select from otp_session where user_id = $1 and ended_at is not null and end_reason = 'session_evicted' and id like 'new%'",
      [user]
    ),
    [],
    'none of the new ones'
  )
  t.match(await db.query("select detail from otp_event where user_id = $1 and kind = 'session_evicted' order by at limit 1", [user]), [
    { detail: `old ${MOST_REGISTERED}` }
  ])
  for (const host of [app, replica]) {
    await insideOf(host).sessions.poll()
    t.equal(outcome(await askHost(host, oldest, 'GET', '/session')), '401 SESSION_ENDED')
    t.equal(outcome(await askHost(host, { user, session, at }, 'GET', '/session?required')), '200', 'a verified one is never ended for it')
  }
})
