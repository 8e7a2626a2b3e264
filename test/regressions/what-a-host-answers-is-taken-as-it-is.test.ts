import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import type { Completion, CountersignOptions, ProvenSession } from '../../plugins/countersign.js'
import { outcome } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, signUp, userId } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

/*
 * The check of the result of `identify` let halves of surrogate pairs pass. PostgreSQL stores each of them as the same
 * character: two users became one. The result of `complete` was not checked: a verified session was stored under an id that
 * `identify` may not return. And if `complete` failed, `endSessions` was never called.
 */

await need('postgres')
const { app, db, clock, anotherHost } = await freshHost(t)
const nowSeconds = Math.floor((await clock.now()).getTime() / 1000)
const saying = async (identity: object) => await anotherHost({ identify: (() => identity) as unknown as CountersignOptions['identify'] })

t.test('two users are never one, and no session is another', async (t) => {
  const wrong = [
    { userId: 'a\ud800', sessionId: 's' }, { userId: 'a', sessionId: '\udfff' }, { userId: 'a\0', sessionId: 's' },
    { userId: 'é'.repeat(128), sessionId: 's' }, { userId: 5, sessionId: 's' }
  ]
  for (const identity of wrong) t.equal((await (await saying(identity)).inject('/app/inside')).statusCode, 500, JSON.stringify(identity))
  t.same(await db.query("select from otp_session where user_id like 'a%'"), [])
  t.equal((await (await saying({ userId: '🎉', sessionId: 'é'.repeat(127) })).inject('/app/inside')).statusCode, 200)
})

t.test('authTime: null means none, and is never fresh; an invalid time is reported', async (t) => {
  const unknown = await saying({ userId: 'bob', sessionId: 's', authTime: null })
  for (let i = 0; i < 2; i++) t.equal(outcome(await unknown.inject('/app/inside?maxAge=300')), '403 OTP_STALE')
  for (const authTime of [-1e308, -Infinity, NaN, String(nowSeconds), new Date()]) {
    t.equal(
      (await (await saying({ userId: 'bob', sessionId: `at ${authTime}`, authTime })).inject('/app/inside')).statusCode,
      500,
      String(authTime)
    )
  }
})

/** [result of `complete`, `complete`] */
const completions: ReadonlyArray<readonly [string, () => Completion]> = [
  ['throws', () => { throw new Error('the host is broken') }],
  ...[undefined, null, '', 7, ['x'], 'z'.repeat(256), 'a\0', '\ud800'].map(
    (sessionId) => [JSON.stringify(sessionId), () => ({ sessionId, answer: {} }) as never] as const
  )
]

t.test('J5 an invalid session id is reported and verifies nothing; endSessions is called all the same', async (t) => {
  for (const [does, complete] of completions) {
    const told: unknown[] = []
    const broken = await anotherHost({ complete, endSessions: (userId, { except }) => { told.push([userId, except]) } })
    const person = await signUp(broken, `cyd${completions.findIndex(([name]) => name === does)}`)
    expect(200, await person.login())
    expect(201, await person.create())
    t.equal((await person.confirm()).statusCode, 500, does)
    await until('the host to be notified', () => told.length > 0)
    t.same(told, [[userId(person), null]], does)
    const [proven] = await db.query<{ id: string }>('select id from otp_session where user_id = $1 and ended_at is null', [userId(person)])
    t.match(proven, { id: /^[0-9a-f-]{36}$/ }, 'an id that was never sent')
  }
})

t.test('endSessions spares the session that goes on', async (t) => {
  const told: unknown[] = []
  const broken = await anotherHost({
    sameSession: true,
    complete: (_request: unknown, _reply: unknown, session: ProvenSession) => {
      throw new Error(session.sessionId)
    },
    endSessions: (_userId, { except }) => {
      told.push(except)
    }
  })
  const dan = await signUp(broken, 'dan')
  expect(200, await dan.login())
  expect(201, await dan.create())
  t.equal((await dan.confirm()).statusCode, 500)
  await until('the host to be notified', () => told.length > 0)
  t.same(told, [dan.claims()['sid']])
  await insideOf(app).sessions.poll()
  const there = dan.elsewhere(app)
  there.access = dan.access
  t.equal(outcome(await there.request('GET', '/session')), '200')
})
