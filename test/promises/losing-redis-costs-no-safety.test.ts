import { Redis } from 'ioredis'
import t from 'tap'
import { outcome, countOutcomes } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { stepAt, totp } from '../helpers/authenticator.js'
import { appAt } from '../helpers/http-client.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp } from '../helpers/person.js'
import { untilReady } from '../helpers/readiness.js'
import { startRedisServer } from '../helpers/redis-server.js'
import { serviceTest } from '../helpers/service-test.js'
import { failuresOf } from '../helpers/stored.js'
import { startServer } from '../helpers/server-process.js'
import { freshSettings } from '../helpers/settings.js'

await need('redis-server')

const redis = await startRedisServer(t)
const { app, db, clock } = await freshApp(t, { REDIS_URL: redis.url })
await untilReady(app, 'up')

async function flush (): Promise<void> {
  const client = new Redis(redis.url)
  await client.flushall()
  client.disconnect()
}

/** [event, failure of Redis between two requests] */
const losses: ReadonlyArray<readonly [string, () => Promise<unknown>]> = [
  ['flushed', flush],
  ['killed', () => redis.kill()],
  ['back, without what it knew', async () => { await redis.restart(); await untilReady(app, 'up') }]
]

for (const [loss, lose] of losses) {
  t.test(`T5 T2 T3 T10 Redis ${loss}`, async (t) => {
    const ada = await (await signUp(app, `ada-${loss.length}`)).enrol()
    await clock.advance(90)
    const [a, b] = await sessionsOf(ada, 2)
    const [earlier, code] = await Promise.all([-1, 0].map((offset) => ada.code(offset)))
    expect(200, await a!.verify(code))
    for (let i = 0; i < 3; i++) await b!.verify(await ada.wrongCode(i))
    await lose()
    t.equal(outcome(await b!.verify(code)), '400 OTP_INVALID', 'used stays used')
    t.equal(outcome(await a!.verify(code)), '400 OTP_INVALID', 'for the session that used it, too')
    t.equal(outcome(await b!.verify(earlier)), '400 OTP_INVALID', 'and so does an earlier code')
    t.equal(await failuresOf(db, ada), 5, 'the count went on: three before, two after')
    t.equal(outcome(await b!.verify(await ada.code(1))), '429 OTP_LOCKED', 'a lock is a lock')
    t.equal(outcome(await a!.request('GET', '/account')), '200', 'and a session is a session')
  })
}

t.test('T5 T2 fifty requests with one code while Redis is killed: one winner', async (t) => {
  await untilReady(app, 'up')
  const bob = await (await signUp(app, 'bob')).enrol()
  const sessions = await sessionsOf(bob, 10)
  const code = await bob.nextCode()
  const racers = Array.from({ length: 50 }, (_, i) => sessions[i % 10]!.verify(code))
  const killed = redis.kill()
  const answers = await Promise.all(racers)
  await killed
  t.equal(countOutcomes(answers)['200'], 1, JSON.stringify(countOutcomes(answers)))
  t.notOk(answers.some(({ statusCode }) => statusCode >= 500), JSON.stringify(countOutcomes(answers)))
})

serviceTest('T5 the app killed right after its answer: a used code stays used, a counted failure stays counted', async (t) => {
  const settings = { ...await freshSettings(t), REDIS_URL: '' }
  const first = startServer(t, settings)
  const eve = await signUp(appAt(await first.ready()), 'eve')
  expect(200, await eve.login())
  expect(201, await eve.create())
  const step = stepAt(new Date())
  const confirming = totp(eve.phone.secret!, step - 1)
  const code = totp(eve.phone.secret!, step)
  expect(200, await eve.confirm(confirming))
  const [session, other] = await sessionsOf(eve, 2)
  expect(200, await session!.verify(code))
  for (const near of [5, 6, 7]) t.equal(outcome(await other!.verify(totp(eve.phone.secret!, step + near))), '400 OTP_INVALID')
  await first.kill('SIGKILL')

  const second = appAt(await startServer(t, settings).ready())
  const late = eve.elsewhere(second)
  late.access = other!.access
  for (const used of [confirming, code]) t.equal(outcome(await late.verify(used)), '400 OTP_INVALID')
  const kept = eve.elsewhere(second)
  kept.access = session!.access
  t.equal(outcome(await kept.request('GET', '/account')), '200', 'a session that was answered is there')
  t.equal(
    outcome(await late.verify(totp(eve.phone.secret!, stepAt(new Date()) + 1))),
    '429 OTP_LOCKED',
    'three before and two after are five: dying clears no count'
  )
})
