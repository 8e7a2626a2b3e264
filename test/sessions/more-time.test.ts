/** An unverified session gets more time where the user asks for it, and not without an end. */
import t from 'tap'
import { freshApp, type App } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { stores } from '../helpers/stores.js'

const MINUTE = 60
const shared = await freshApp(t, { OTP_PENDING_SECONDS: '60' })
const { clock } = shared
/** An embedded database has one process. */
const replica = (await stores()).databaseUrl === undefined ? shared.app : await shared.another()

interface Answer { access: string, refresh: string, expiresIn: number, otpExpiresAt: string | null }

async function owing (): Promise<Person> {
  await emptied(shared)
  await clock.freeze()
  const ada = await (await signUp(shared.app)).enrol()
  const session = ada.elsewhere()
  expect(200, await session.login())
  return session
}
const refresh = async (token: string | null, extend?: boolean) => await shared.app.inject({
  method: 'POST', url: '/token/refresh', payload: { refresh: token, ...(extend === undefined ? {} : { extend }) }
})
const ask = async (app: App, { access }: Person) =>
  await app.inject({ url: '/totp/status', headers: { authorization: `Bearer ${access}` } })

/** Refreshes, and returns the seconds from now at which the session ends. The answer names whole seconds, the last one before. */
async function next (session: Person, extend?: boolean): Promise<number> {
  const answer = expect(200, await refresh(session.refresh, extend)).json<Answer>()
  Object.assign(session, answer)
  return Math.ceil((Date.parse(answer.otpExpiresAt!) - (await clock.now()).getTime()) / 1000)
}

t.test('it is extended where that is asked for, and by no other refresh', async (t) => {
  const session = await owing()
  await clock.advance(40)
  t.equal(await next(session), 20)
  t.equal(await next(session, false), 20)
  // Both replicas remember the session with its first end.
  for (const app of [shared.app, replica]) expect(200, await ask(app, session))
  t.equal(await next(session, true), MINUTE)
  await clock.advance(30)
  for (const app of [shared.app, replica]) expect(200, await ask(app, session))
  expect(200, await session.verify())
  t.equal((await ask(replica, session)).statusCode, 200)
})

t.test('a repeated request gets the same answer, and nothing twice', async (t) => {
  const session = await owing()
  const { refresh: parent } = session
  const first = expect(200, await refresh(parent, true)).json<Answer>()
  await clock.advance(10)
  const second = expect(200, await refresh(parent, true)).json<Answer>()
  t.equal(second.otpExpiresAt, first.otpExpiresAt)
  t.equal(second.refresh, first.refresh)
})

t.test('ten times, then it ends', async (t) => {
  const session = await owing()
  for (let time = 1; time <= 10; time++) {
    await clock.advance(59)
    t.equal(await next(session, true), MINUTE, `${time}`)
  }
  await clock.advance(50)
  t.equal(await next(session, true), 20, 'eleven minutes after the log-in')
  await clock.advance(21)
  t.equal((await ask(shared.app, session)).statusCode, 401)
  t.equal((await refresh(session.refresh, true)).statusCode, 401, 'a session that has ended gets none')
})

t.test('a wrong code counts for the user, however often the session is extended', async (t) => {
  const session = await owing()
  for (let guess = 0; guess < 5; guess++) {
    t.match((await session.verify(`00000${guess}`)).json(), { code: 'OTP_INVALID' })
    await next(session, true)
  }
  t.match((await session.verify('000009')).json(), { code: 'OTP_LOCKED' })
})

t.test('the end of a verified session stays', async (t) => {
  const session = await owing()
  expect(200, await session.verify())
  const end = async () => (await shared.db.query('select expires_at::text as at from otp_session where ended_at is null order by 1'))
  const before = await end()
  expect(200, await refresh(session.refresh, true))
  t.same(await end(), before)
})
