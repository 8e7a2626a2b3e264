import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import type { ProvenSession } from '../../plugins/countersign.js'
import { outcome } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { sessionIdOf } from '../helpers/host-app.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, userId } from '../helpers/person.js'

await need('postgres')
const { app, db, clock, another, anotherHost } = await freshHost(t)

t.test('T8 a session that was never seen here before a device was confirmed owes a code when it is', async (t) => {
  const ada = await signUp(app, 'ada')
  const early = ada.elsewhere()
  const answer = await early.request('POST', '/token', { username: ada.username, password: ada.password }, null)
  early.access = expect(200, answer).json<{ access: string }>().access
  await ada.enrol()
  t.equal(outcome(await early.request('GET', '/session')), '403 OTP_REQUIRED')
  early.phone.secret = ada.phone.secret!
  expect(200, await early.verify())
  t.equal(outcome(await early.request('GET', '/session?required')), '200')
})

t.test('J5 a session that ended here stays so, however often its host says that it is there', async (t) => {
  const bob = await signUp(app, 'bob')
  expect(200, await bob.login())
  const [other] = await sessionsOf(bob, 1)
  expect(201, await bob.create())
  expect(200, await bob.confirm())
  const replica = await another()
  for (const where of [app, replica]) {
    const there = bob.elsewhere(where)
    there.access = other!.access
    for (let i = 0; i < 3; i++) t.equal(outcome(await there.request('GET', '/session')), '401 SESSION_ENDED')
  }
})

t.test('J7 what a session has proven is over after `sessionSeconds`: it begins anew, and owes a code', async (t) => {
  const cyd = await (await signUp(app, 'cyd')).enrol()
  await db.query('update otp_session set expires_at = test_clock.clock_timestamp() where id = $1', [sessionIdOf(cyd.access!)])
  const replica = await another()
  const there = cyd.elsewhere(replica)
  there.access = cyd.access
  t.equal(outcome(await there.request('GET', '/session')), '403 OTP_REQUIRED')
  expect(200, await there.verify())
  t.equal(outcome(await there.request('GET', '/session')), '200')
})

t.test('a step-up is known to every replica within a second', async (t) => {
  const dan = await (await signUp(app, 'dan')).enrol()
  const replica = await another()
  const there = dan.elsewhere(replica)
  there.access = dan.access
  await db.query("update otp_session set otp_at = otp_at - interval '1 hour' where id = $1", [sessionIdOf(dan.access!)])
  await insideOf(replica).sessions.poll()
  t.equal(outcome(await there.request('GET', '/session?maxAge=300')), '403 OTP_STALE')
  expect(200, await dan.verify())
  await insideOf(replica).sessions.poll()
  t.equal(outcome(await there.request('GET', '/session?maxAge=300')), '200')
})

t.test('authTime: milliseconds are a mistake that is told, and a clock that is ahead makes nobody fresh for longer', async (t) => {
  const hal = await signUp(app, 'hal')
  const nowSeconds = Math.floor((await clock.now()).getTime() / 1000)
  const saying = async (authTime: number) =>
    await anotherHost({ identify: () => ({ userId: 'hal', sessionId: `at ${authTime}`, authTime }) })
  t.equal((await hal.elsewhere(await saying(nowSeconds * 1000)).request('GET', '/session')).statusCode, 500)
  const ahead = await saying(nowSeconds + 3600)
  await insideOf(ahead).sessions.poll()
  t.equal(outcome(await hal.elsewhere(ahead).request('GET', '/session?maxAge=300')), '200')
  await clock.advance(301)
  t.equal(outcome(await hal.elsewhere(ahead).request('GET', '/session?maxAge=300')), '403 OTP_STALE')
})

t.test('a host that does not say where it went is told what is wrong, and nothing is verified', async (t) => {
  const ivy = await (await signUp(app, 'ivy')).enrol()
  for (const sessionId of [undefined, '', 'x'.repeat(256), 'nul\0', 7]) {
    const [session] = await sessionsOf(ivy, 1)
    const lost = await anotherHost({ complete: () => ({ sessionId: sessionId as string, answer: {} }) })
    const there = session!.elsewhere(lost)
    there.access = session!.access
    t.equal((await there.verify()).statusCode, 500, JSON.stringify(sessionId)?.slice(0, 6))
    await insideOf(app).sessions.poll()
    t.equal(outcome(await session!.request('GET', '/session')), '401 SESSION_ENDED')
  }
})

t.test('a host that stays where it is, without saying so, is told what is wrong, and nothing is verified', async (t) => {
  const eve = await (await signUp(app, 'eve')).enrol()
  const [session] = await sessionsOf(eve, 1)
  const stuck = await anotherHost({
    complete: (request) => ({ sessionId: sessionIdOf(/host=([^;]+)/.exec(request.headers.cookie!)![1]!), answer: {} })
  })
  const there = session!.elsewhere(stuck)
  there.access = session!.access
  t.equal((await there.verify()).statusCode, 500)
  await insideOf(app).sessions.poll()
  t.equal(outcome(await session!.request('GET', '/session')), '401 SESSION_ENDED', 'the code is used up and the session over')
})

t.test('sameSession: the requester session itself is verified, on every replica, and unverified once the device is gone', async (t) => {
  const staying = {
    sameSession: true,
    complete: (_request: unknown, _reply: unknown, { sessionId }: ProvenSession) => ({ sessionId, answer: {} })
  }
  const [one, two] = [await anotherHost(staying), await anotherHost(staying)]
  const fay = await signUp(one, 'fay')
  expect(200, await fay.login())
  const there = fay.elsewhere(two)
  there.access = fay.access
  t.equal(outcome(await there.request('GET', '/session?required')), '403 OTP_REQUIRED', 'the other replica remembers it as unverified')
  expect(201, await fay.create())
  expect(200, await fay.confirm())
  await insideOf(two).sessions.poll()
  for (const person of [fay, there]) t.equal(outcome(await person.request('GET', '/session?required')), '200')
  expect(200, await fay.request('DELETE', '/totp/delete'))
  await insideOf(two).sessions.poll()
  for (const person of [fay, there]) t.equal(outcome(await person.request('GET', '/session?required')), '403 OTP_REQUIRED')
  for (const person of [fay, there]) t.equal(outcome(await person.request('GET', '/session')), '200')
})

t.test('R6 reset: devices, codes and a set-up under way are gone, every session ends on every replica, and the host is told', async (t) => {
  const told: unknown[] = []
  const desk = await anotherHost({ endSessions: (userId, { except }) => { told.push({ userId, except }) } })
  const gus = await (await signUp(app, 'gus')).enrol()
  expect(201, await gus.create({ name: 'Second' }))
  await desk.countersign.reset(userId(gus), { actorId: 'support', reason: 'lost both' })
  await insideOf(app).sessions.poll()
  for (const answer of [await gus.request('GET', '/session'), await gus.confirm(), await gus.recover()]) {
    t.equal(outcome(answer), '401 SESSION_ENDED')
  }
  t.same(told, [{ userId: userId(gus), except: null }])
  expect(200, await gus.login())
  t.equal(outcome(await gus.request('GET', '/session')), '200')
  t.equal(outcome(await gus.recover(gus.recoveryCodes[0])), '400 RECOVERY_CODE_INVALID')
  t.match((await gus.request('GET', '/totp/status')).json(), { isOtpEnabled: false, isPending: false, recoveryCodesLeft: 0 })
  t.match(await db.query("select actor_id, detail from otp_event where kind = 'otp_reset'"), [{ actor_id: 'support', detail: 'lost both' }])
})
