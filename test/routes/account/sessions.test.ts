import { randomUUID } from 'node:crypto'
import t from 'tap'
import { bodyOf, outcome, countOutcomes } from '../../helpers/answers.js'
import { freshApp } from '../../helpers/app.js'
import { need } from '../../helpers/need.js'
import { expect, type Person, sessionsOf, signUp, userId } from '../../helpers/person.js'
import { countEvents } from '../../helpers/stored.js'
import { sized } from '../../helpers/thorough.js'
import { until } from '../../helpers/wait.js'

await need('postgres')
const { app, db, clock, another } = await freshApp(t, { TRUSTED_PROXIES: '127.0.0.1' })
const replica = await another()

interface Session {
  id: string, ip: string, agent: string, startedAt: string, lastSeenAt: string, expiresAt: string, isVerified: boolean, isThis: boolean
}
const list = async (person: Person) => expect(200, await person.request('GET', '/account/sessions')).json<Session[]>()
const sid = (person: Person) => String(person.claims()['sid'])
const end = async (person: Person, id: string) => outcome(await person.request('DELETE', `/account/sessions/${id}`))
const alive = async (person: Person) => outcome(await person.request('GET', '/totp/status'))
const living = async (person: Person) =>
  (await db.query('select id from otp_session where user_id = $1 and ended_at is null', [userId(person)])).map(({ id }) => id)
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'

t.test('each living session: from where, with what, since when, verified or not, which is this', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  await clock.freeze()
  const now = (await clock.now()).toISOString()
  const { username, password } = ada
  const elsewhere = ada.elsewhere()
  Object.assign(elsewhere, expect(200, await app.inject({
    method: 'POST',
    url: '/token',
    headers: { 'user-agent': FIREFOX, 'x-forwarded-for': '198.51.100.7' },
    payload: { username, password }
  })).json())
  const listed = await list(ada)
  t.same(Object.keys(listed[0]!).sort(), ['agent', 'expiresAt', 'id', 'ip', 'isThis', 'isVerified', 'lastSeenAt', 'startedAt'])
  t.match(listed.find(({ id }) => id === sid(elsewhere)), {
    ip: '198.51.100.7', agent: 'Firefox on Linux', startedAt: now, lastSeenAt: now, isVerified: false, isThis: false
  })
  t.match(listed.find(({ id }) => id === sid(ada)), { agent: 'lightMyRequest', isVerified: true, isThis: true })
  t.equal(listed.length, 2, 'the one that ended when the device was confirmed is not there')
  await clock.advance(60)
  expect(200, await elsewhere.refreshTokens())
  const [first] = await list(ada)
  t.same(
    [first!.id, first!.startedAt, first!.lastSeenAt], [sid(elsewhere), now, new Date(Date.parse(now) + 60_000).toISOString()],
    'the one last seen first'
  )
  await clock.unfreeze()
})

t.test('what has ended, expired or idled out is hidden, and cannot be ended', async (t) => {
  const bea = await signUp(app, 'bea')
  const [out, idle, me] = await sessionsOf(bea, 3)
  expect(204, await out!.request('POST', '/token/revoke'))
  const half = 12 * 3600
  await clock.advance(half)
  expect(200, await me!.refreshTokens())
  await clock.advance(half + 1)
  expect(200, await me!.refreshTokens())
  // Logs in again, for a fresh session.
  const fresh = bea.elsewhere()
  expect(200, await fresh.login())
  t.same((await list(fresh)).map(({ id }) => id), [sid(fresh), sid(me!)])
  for (const person of [out!, idle!]) t.equal(await end(fresh, sid(person)), '404 NOT_FOUND')

  const cas = await (await signUp(app, 'cas')).enrol()
  const [pending] = await sessionsOf(cas, 1)
  t.equal((await list(cas)).length, 2)
  await clock.advance(280)
  t.equal((await list(cas)).length, 2)
  await clock.advance(21)
  expect(200, await cas.refreshTokens())
  expect(200, await cas.verify())
  t.same((await list(cas)).map(({ id }) => id), [sid(cas)])
  t.equal(await end(cas, sid(pending!)), '404 NOT_FOUND')
})

t.test('J5 end one: here at once, at the replica soon; another one is untouched', async (t) => {
  const dee = await (await signUp(app, 'dee')).enrol()
  const [, other] = await sessionsOf(dee, 2)
  const there = dee.elsewhere(replica)
  expect(200, await there.login())
  t.equal(await alive(there), '200')
  t.equal(await end(dee, sid(there)), '204')
  t.equal(outcome(await dee.request('GET', '/totp/status', undefined, there.access)), '401 SESSION_ENDED')
  await until('the replica to know', async () => await alive(there) === '401 SESSION_ENDED', 2_000)
  t.equal(await alive(other!), '200')
  t.equal(await end(dee, sid(there)), '404 NOT_FOUND', 'it is not there any more')
  t.same(
    await db.query("select session_id, detail from otp_event where user_id = $1 and kind = 'session_ended'", [userId(dee)]),
    [{ session_id: sid(dee), detail: sid(there) }]
  )
  t.equal(await end(dee, sid(dee)), '204', 'the requester one may end itself')
  t.equal(await alive(dee), '401 SESSION_ENDED')
})

t.test('J5 a session that a mark ended a moment ago ends no newer one, and is not there for it', async (t) => {
  const dot = await signUp(app, 'dot')
  const older = dot.elsewhere()
  const newer = dot.elsewhere()
  expect(200, await older.login())
  await clock.advance(10)
  expect(200, await newer.login())
  t.same([await alive(older), await alive(newer)], ['200', '200'])
  await db.query("insert into otp_revocation (user_id, ended_before) values ($1, clock_timestamp() - interval '5 seconds')",
    [userId(newer)])
  t.equal(await end(older, sid(newer)), '401 SESSION_ENDED')
  t.equal(await end(newer, sid(older)), '404 NOT_FOUND')
  t.same((await living(newer)).sort(), [sid(newer), sid(older)].sort(), 'their rows are as before')
})

t.test('E6 another user\'s session is not there', async (t) => {
  const eva = await signUp(app, 'eva')
  expect(200, await eva.login())
  const fay = await signUp(app, 'fay')
  expect(200, await fay.login())
  const answers = [
    await eva.request('DELETE', `/account/sessions/${sid(fay)}`), await eva.request('DELETE', `/account/sessions/${randomUUID()}`)
  ]
  t.same(answers.map(outcome), ['404 NOT_FOUND', '404 NOT_FOUND'])
  t.equal(bodyOf(answers[0]!), bodyOf(answers[1]!))
  t.equal(await alive(fay), '200')
  t.same((await list(eva)).map(({ id }) => id), [sid(eva)])
  t.equal(await countEvents(db, eva, 'session_ended'), 0)
})

t.test('T8 T9 all of it needs a verified and fresh session', async (t) => {
  const gus = await (await signUp(app, 'gus')).enrol()
  const [unverified] = await sessionsOf(gus, 1)
  const asks = [['GET', '/account/sessions'], ['DELETE', '/account/sessions'], ['DELETE', `/account/sessions/${sid(unverified!)}`]] as const
  for (const [method, url] of asks) t.equal(outcome(await unverified!.request(method, url)), '403 OTP_REQUIRED', `${method} ${url}`)
  await clock.advance(301)
  expect(200, await gus.refreshTokens())
  for (const [method, url] of asks) t.equal(outcome(await gus.request(method, url)), '403 OTP_STALE', `${method} ${url}`)
})

t.test('end all others, fifty times at once, while they verify and refresh', async (t) => {
  const hal = await (await signUp(app, 'hal')).enrol()
  await clock.advance(30)
  const others = await sessionsOf(hal, 8, [app, replica])
  const code = await hal.nextCode()
  const there = hal.at(replica)
  const [ends, verified] = await Promise.all([
    Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? hal : there).request('DELETE', '/account/sessions'))),
    Promise.all(Array.from({ length: 24 }, (_, i) => others[i % 8]!.request('POST', '/totp/login', { token: code }))),
    Promise.all(others.map((person) => person.refreshTokens()))
  ])
  // A request that waits too long for the lock gets 503.
  t.ok(ends.every((answer) => ['204', '503 UNAVAILABLE'].includes(outcome(answer))), JSON.stringify(countOutcomes(ends)))
  t.ok(verified.every(({ statusCode }) => statusCode < 500 || statusCode === 503))
  t.same(await living(hal), [sid(hal)])
  t.equal(outcome(await hal.request('GET', '/session')), '200')
  for (const person of others) t.match(await alive(person), /^401/)
  const details = await db.query<{ detail: string }>(
    "select detail from otp_event where user_id = $1 and kind = 'session_ended'", [userId(hal)]
  )
  t.ok(
    details.length >= 1 && details.every(({ detail }) => /^all others: [1-9]\d*$/.test(detail)),
    'one event per decision that ended something'
  )
})

t.test('what is being verified at this moment does not slip through as a new session', async (t) => {
  for (let round = 0; round < sized(3, 6); round++) {
    const ida = await (await signUp(app, `ida${round}`)).enrol()
    const others = await sessionsOf(ida, 5, [app, replica])
    const recovering = others.map((person, i) => person.request('POST', '/totp/recovery_code/login', { token: ida.recoveryCodes[i]! }))
    t.equal(outcome(await ida.request('DELETE', '/account/sessions')), '204')
    await Promise.all(recovering)
    t.same(await living(ida), [sid(ida)])
  }
})
