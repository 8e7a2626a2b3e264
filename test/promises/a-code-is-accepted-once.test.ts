import t from 'tap'
import { countOutcomes } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, userId, type Person } from '../helpers/person.js'
import { countEvents, failuresOf } from '../helpers/stored.js'

await need('postgres')

const { app, db, clock, another } = await freshApp(t)
const replica = await another()
const RACERS = 50

/** Returns the same session, with the same tokens, at another replica. */
function at (person: Person, where: typeof app): Person {
  const twin = person.elsewhere(where)
  twin.access = person.access
  twin.refresh = person.refresh
  return twin
}

const race = (racers: readonly Person[], code: string) => Promise.all(racers.map((racer) => racer.verify(code)))
const spread = (person: Person, count = RACERS) => Array.from({ length: count }, (_, i) => at(person, i % 2 === 0 ? app : replica))

t.test('T2 one code, fifty requests at once to login, two replicas, ten sessions: one winner', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const sessions = await sessionsOf(ada, 10, [app, replica])
  const code = await ada.nextCode()
  const answers = await race(sessions.flatMap((session) => spread(session, 5)), code)
  t.equal(countOutcomes(answers)['200'], 1, JSON.stringify(countOutcomes(answers)))
  t.equal(await countEvents(db, ada, 'otp_verified'), 1)
  const [alive] = await db.query(
    'select count(*)::int as verified from otp_session where user_id = $1 and ended_at is null and otp_device_id is not null',
    [userId(ada)]
  )
  t.same(alive, { verified: 2 }, 'the one that enrolled, and the winner')
  t.ok(await failuresOf(db, ada) <= 5, 'losers that came before the winner are forgiven, five at most come after')
})

t.test('T2 one code, fifty requests at once to confirm: one winner', async (t) => {
  const bob = await signUp(app, 'bob')
  expect(200, await bob.login())
  expect(201, await bob.create())
  const answers = await race(spread(bob), await bob.nextCode())
  t.equal(countOutcomes(answers)['200'], 1, JSON.stringify(countOutcomes(answers)))
  t.equal(await countEvents(db, bob, 'otp_enabled'), 1)
})

t.test('T2 one code, fifty requests at once to step up: one winner', async (t) => {
  const eve = await (await signUp(app, 'eve')).enrol()
  const code = await eve.nextCode()
  const answers = await race(spread(eve), code)
  t.equal(countOutcomes(answers)['200'], 1, JSON.stringify(countOutcomes(answers)))
  t.equal(await countEvents(db, eve, 'otp_verified'), 1)
})

t.test('T2 one code at all routes at once: login and step-up together', async (t) => {
  const fay = await (await signUp(app, 'fay')).enrol()
  const others = await sessionsOf(fay, 10, [app, replica])
  const code = await fay.nextCode()
  const answers = await race([...spread(fay, 25), ...others.flatMap((other) => spread(other, 3))], code)
  t.equal(countOutcomes(answers)['200'], 1, JSON.stringify(countOutcomes(answers)))
})

t.test('T2 a code that confirmed, logged in or stepped up is refused afterwards, at every route', async (t) => {
  const guy = await signUp(app, 'guy')
  expect(200, await guy.login())
  expect(201, await guy.create())
  const used = [await guy.nextCode()]
  expect(200, await guy.confirm(used[0]))
  for (const where of [app, replica]) {
    for (const session of await sessionsOf(guy, 1, [where])) {
      t.equal((await session.verify(used[0])).statusCode, 400, 'the code that confirmed cannot log in')
    }
  }
  const next = await guy.nextCode()
  expect(200, await guy.verify(next))
  const [fresh] = await sessionsOf(guy, 1, [replica])
  t.equal((await fresh!.verify(next)).statusCode, 400, 'the code that stepped up cannot log in')
  t.equal((await at(guy, replica).verify(next)).statusCode, 400, 'nor step up')
  const login = await guy.nextCode()
  expect(200, await fresh!.verify(login))
  t.equal((await guy.verify(login)).statusCode, 400, 'the code that logged in cannot step up')
})

t.test('T2 T3 two codes of one window in parallel: no step is accepted twice, and no step after a later one', async (t) => {
  const ida = await (await signUp(app, 'ida')).enrol()
  await clock.advance(90)
  const sessions = await sessionsOf(ida, 2, [app, replica])
  const step = Math.floor((await clock.now()).getTime() / 30_000)
  const codes = await Promise.all([-1, 0].map((offset) => ida.code(offset)))
  const racers = sessions.flatMap((session) => spread(session, 4))
  const answers = await Promise.all(racers.map((racer, i) => racer.verify(codes[i % 2])))
  const winners = answers.flatMap((answer, i) => answer.statusCode === 200 ? [i % 2] : [])
  t.ok(winners.length >= 1 && winners.length <= 2, JSON.stringify(countOutcomes(answers)))
  t.equal(new Set(winners).size, winners.length, 'each code once at most')
  const [device] = await db.query<{ step: number }>('select last_step as step from otp_totp where user_id = $1', [userId(ida)])
  t.equal(device?.step, step - (winners.includes(1) ? 0 : 1), 'the latest accepted step stands')
})
