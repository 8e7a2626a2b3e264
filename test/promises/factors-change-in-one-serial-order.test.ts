import t from 'tap'
import { outcome, countOutcomes } from '../helpers/answers.js'
import { freshApp, type App } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, userId, type Person } from '../helpers/person.js'
import { isAttached } from '../helpers/service-test.js'
import { countEvents } from '../helpers/stored.js'
import { sized } from '../helpers/thorough.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const { app, db, clock, another } = await freshApp(t)
const replica = await another()
const ROUNDS = sized(3, isAttached ? 3 : 8)

function at (person: Person, where: App): Person {
  const twin = person.elsewhere(where)
  twin.access = person.access
  twin.refresh = person.refresh
  return twin
}

/** Returns the rows that are left, for comparison with the outcome of a serial order. */
async function state (person: Person) {
  const [found] = await db.query<{ confirmed: number, pending: number, codes: number, sessions: number }>(`select
    (select count(*) from otp_device where user_id = $1 and confirmed_at is not null)::int as confirmed,
    (select count(*) from otp_device where user_id = $1 and confirmed_at is null)::int as pending,
    (select count(*) from otp_recovery_code where user_id = $1 and used_at is null)::int as codes,
    (select count(*) from otp_session where user_id = $1 and ended_at is null)::int as sessions`, [userId(person)])
  return found!
}

t.test('T8 switching off twice at once, from two verified sessions on two replicas: once, and nothing is left', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const [other] = await sessionsOf(ada, 1, [replica])
  expect(200, await other!.verify())
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? ada : other!).request('DELETE', '/totp/delete')))
  t.equal(countOutcomes(answers)['200'], 1, JSON.stringify(countOutcomes(answers)))
  t.same(await state(ada), { confirmed: 0, pending: 0, codes: 0, sessions: 1 })
  t.equal(await countEvents(db, ada, 'otp_disabled'), 1)
})

t.test('T8 confirming a further device against switching off', async (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const bob = await (await signUp(app, `bob${round}`)).enrol()
    expect(201, await bob.create())
    const code = await bob.nextCode()
    const [confirmed, removed] = await Promise.all([at(bob, app).verify(code), at(bob, replica).request('DELETE', '/totp/delete')])
    const { confirmed: devices, pending, codes } = await state(bob)
    // Each change replaces the session of both requests, so the first one ends it for the second.
    t.same([confirmed, removed].map(outcome).sort(), ['200', '401 SESSION_ENDED'])
    t.same([devices, pending, codes], removed.statusCode === 200 ? [0, 0, 0] : [2, 0, 5], 'one of them alone')
  }
})

t.test('T8 confirming the first device against logins: no session that owes nothing outlives it', async (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const cyd = await signUp(app, `cyd${round}`)
    expect(200, await cyd.login())
    expect(201, await cyd.create())
    const code = await cyd.nextCode()
    const late = Array.from({ length: 4 }, (_, i) => cyd.elsewhere(i % 2 === 0 ? app : replica))
    const logins = late.map((person) => person.login())
    const confirmed = expect(200, await at(cyd, app).verify(code)).json<{ access: string }>()
    for (const [i, login] of (await Promise.all(logins)).entries()) {
      if (login.statusCode !== 200) continue
      await until(
        'a login to have ended, or to owe the second factor',
        async () => (await late[i]!.request('GET', '/account')).statusCode !== 200,
        2_000
      )
    }
    t.equal((await cyd.request('GET', '/account', undefined, confirmed.access)).statusCode, 200)
    const [free] = await db.query(`
      select count(*)::int as sessions from otp_session
      where user_id = $1 and ended_at is null and otp_device_id is null and not otp_required`, [cyd.claims(confirmed.access)['sub']])
    t.same(free, { sessions: 0 })
  }
})

t.test('T8 two first devices confirmed at once from two sessions: one is on', async (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const dan = await signUp(app, `dan${round}`)
    const [a, b] = await sessionsOf(dan, 2, [app, replica])
    const codes: string[] = []
    for (const session of [a!, b!]) {
      expect(201, await session.create())
      codes.push(await session.code())
    }
    const answers = await Promise.all([a!.verify(codes[0]), b!.verify(codes[1])])
    t.equal(countOutcomes(answers)['200'], 1, JSON.stringify(countOutcomes(answers)))
    t.same(await state(a!), { confirmed: 1, pending: 0, codes: 5, sessions: 1 })
  }
})

t.test('T8 the tenth and the eleventh device confirmed at once: ten', async (t) => {
  const eve = await (await signUp(app, 'eve')).enrol()
  for (let i = 2; i <= 9; i++) {
    expect(201, await eve.create())
    await clock.advance(30)
    expect(200, await eve.confirm())
  }
  const [other] = await sessionsOf(eve, 1, [replica])
  expect(200, await other!.verify())
  const codes: string[] = []
  for (const session of [eve, other!]) {
    expect(201, await session.create())
    codes.push(await session.code())
  }
  const answers = await Promise.all([eve.verify(codes[0]), other!.verify(codes[1])])
  t.equal(countOutcomes(answers)['200'], 1, JSON.stringify(countOutcomes(answers)))
  t.same([(await state(eve)).confirmed, (await state(eve)).pending], [10, 0])
})

t.test('R3 T8 regenerating against switching off: all codes or none', async (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const fay = await (await signUp(app, `fay${round}`)).enrol()
    await Promise.all([at(fay, app).request('POST', '/totp/recovery_code/create'), at(fay, replica).request('DELETE', '/totp/delete')])
    const { confirmed, codes } = await state(fay)
    t.same({ confirmed, codes }, confirmed === 0 ? { confirmed: 0, codes: 0 } : { confirmed: 1, codes: 5 })
  }
})

t.test('T8 an accepted code against switching off: no verified session without a device', async (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const guy = await (await signUp(app, `guy${round}`)).enrol()
    const [other] = await sessionsOf(guy, 1, [replica])
    const code = await guy.nextCode()
    await Promise.all([other!.verify(code), guy.request('DELETE', '/totp/delete')])
    const [left] = await db.query(
      'select count(*)::int as verified from otp_session where user_id = $1 and ended_at is null and otp_device_id is not null',
      [userId(guy)]
    )
    const { confirmed } = await state(guy)
    t.same([confirmed, left], [0, { verified: 0 }])
  }
})
