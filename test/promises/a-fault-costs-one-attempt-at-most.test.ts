import { sql } from 'kysely'
import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { rows } from '../../src/tables/db.js'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { freshDatabase } from '../helpers/database.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, userId, type Person } from '../helpers/person.js'
import { untilReady } from '../helpers/readiness.js'
import { failuresOf } from '../helpers/stored.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const db = await freshDatabase(t)
const proxy = await tcpProxy(t, targetOf(db.url))
const { app } = await freshApp(t, { DATABASE_URL: proxy.url(db.url) }, { db })

/** Columns that identify the results of the two deciding statements: the one that consumes, the one that commits. */
const afterSpending = (bytes: Buffer) => bytes.includes('attempt$row')
const afterCommitting = (bytes: Buffer) => bytes.includes('answer$row')

/** Sends a request; PostgreSQL's matching answer is lost, with every connection. */
async function cutAt (matches: (bytes: Buffer) => boolean, ask: () => ReturnType<Person['verify']>) {
  const hold = proxy.holdNext(matches)
  const answer = ask()
  await hold.held
  await proxy.cut()
  const { statusCode, headers, body } = await answer
  await proxy.restore()
  await untilReady(app)
  // Readiness is that of a connection of its own.
  await until('the pool to answer', async () => await rows(insideOf(app).db, sql`select 1`).then(() => true, () => false))
  return { statusCode, headers, body }
}

async function verifiedSessions (person: Person): Promise<number> {
  const [found] = await db.query<{ count: number }>(
    'select count(*)::int as count from otp_session where user_id = $1 and ended_at is null and otp_device_id is not null',
    [userId(person)]
  )
  return found?.count ?? 0
}

t.test('T12 a cut between consuming and committing: 503, one attempt, nothing granted; the code is still good', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const [session] = await sessionsOf(ada, 1)
  const code = await ada.nextCode()
  const { statusCode, headers, body } = await cutAt(afterSpending, () => session!.verify(code))
  t.equal(statusCode, 503)
  t.ok(Number(headers['retry-after']) <= 2)
  t.equal(JSON.parse(body).code, 'UNAVAILABLE')
  t.equal(await failuresOf(db, ada), 1)
  t.equal(await verifiedSessions(ada), 1, 'the one that enrolled')
  t.equal(outcome(await session!.request('GET', '/session')), '403 OTP_REQUIRED')
  t.equal(outcome(await session!.verify(code)), '200', 'it was never accepted')
  t.equal(await failuresOf(db, ada), 0)
})

t.test('T12 T2 a cut after committing: 503, no client got the session, and the code is consumed', async (t) => {
  const bob = await (await signUp(app, 'bob')).enrol()
  const [session, other] = await sessionsOf(bob, 2)
  const code = await bob.nextCode()
  t.equal((await cutAt(afterCommitting, () => session!.verify(code))).statusCode, 503)
  t.equal(outcome(await other!.verify(code)), '400 OTP_INVALID')
  t.equal(outcome(await other!.request('GET', '/session')), '403 OTP_REQUIRED')
  t.not(outcome(await session!.request('GET', '/session')), '200')
  t.equal(outcome(await other!.verify()), '200', 'the next one works')
})

t.test('T12 again and again: a wrong code that is cut off costs no more than one that is judged, and no less', async (t) => {
  const cyd = await (await signUp(app, 'cyd')).enrol()
  const [session] = await sessionsOf(cyd, 1)
  for (let i = 1; i <= 5; i++) {
    t.equal((await cutAt(afterSpending, async () => session!.verify(await cyd.wrongCode()))).statusCode, 503)
    t.equal(await failuresOf(db, cyd), i)
  }
  t.equal(outcome(await session!.verify(await cyd.nextCode())), '429 OTP_LOCKED', 'faults are no way around the budget')
})

t.test('T12 a cut while the first device is confirmed: it is on, or it is not', async (t) => {
  const dan = await signUp(app, 'dan')
  expect(200, await dan.login())
  expect(201, await dan.create())
  const code = await dan.nextCode()
  t.equal((await cutAt(afterSpending, () => dan.confirm(code))).statusCode, 503)
  t.match((await dan.request('GET', '/totp/status')).json(), { isOtpEnabled: false, isPending: true, recoveryCodesLeft: 0 })
  // The answer to the last statement is lost before COMMIT is sent, so the transaction has no effect.
  t.equal((await cutAt(afterCommitting, () => dan.confirm(code))).statusCode, 503)
  t.match((await dan.request('GET', '/totp/status')).json(), { isOtpEnabled: false, isPending: true, recoveryCodesLeft: 0 })
  t.equal(outcome(await dan.confirm(code)), '200')
})

t.test('T12 R2 a cut while a recovery code is used: nothing granted, and the code is not lost', async (t) => {
  const eve = await (await signUp(app, 'eve')).enrol()
  const [session] = await sessionsOf(eve, 1)
  // The cut comes before COMMIT is sent.
  t.equal((await cutAt((bytes) => bytes.includes('codesLeft'), () => session!.recover(eve.recoveryCodes[0]!))).statusCode, 503)
  t.equal(outcome(await session!.request('GET', '/session')), '403 OTP_REQUIRED')
  t.equal(outcome(await session!.recover(eve.recoveryCodes[0]!)), '200')
  const [again] = await sessionsOf(eve, 1)
  t.equal(outcome(await again!.recover(eve.recoveryCodes[0]!)), '400 RECOVERY_CODE_INVALID')
})
