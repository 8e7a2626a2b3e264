import t from 'tap'
import { outcome, countOutcomes } from '../helpers/answers.js'
import { freshApp, type App } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, userId, type Person } from '../helpers/person.js'
import { isAttached } from '../helpers/service-test.js'
import { countEvents } from '../helpers/stored.js'
import { sized } from '../helpers/thorough.js'

await need('postgres')

const { app, db, another } = await freshApp(t)
const replica = await another()
const ROUNDS = sized(3, isAttached ? 3 : 8)

function at (person: Person, where: App): Person {
  const twin = person.elsewhere(where)
  twin.access = person.access
  return twin
}

async function left (person: Person): Promise<number> {
  const [found] = await db.query<{ count: number }>(
    'select count(*)::int as count from otp_recovery_code where user_id = $1 and used_at is null', [userId(person)]
  )
  return found?.count ?? 0
}

t.test('R2 one code, fifty in parallel, ten sessions, two replicas: one success', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const sessions = await sessionsOf(ada, 10, [app, replica])
  const [code] = ada.recoveryCodes
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => sessions[i % 10]!.recover(code!)))
  t.equal(countOutcomes(answers)['200'], 1, JSON.stringify(countOutcomes(answers)))
  t.equal(answers.find(({ statusCode }) => statusCode === 200)!.json().recoveryCodesLeft, 4)
  t.equal(await left(ada), 4)
  t.equal(await countEvents(db, ada, 'recovery_used'), 1)
})

t.test('R2 the same from six verified sessions, which no use of a code ends', async (t) => {
  const gus = await (await signUp(app, 'gus')).enrol()
  const sessions = await sessionsOf(gus, 6, [app, replica])
  for (const session of sessions) expect(200, await session.verify())
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => sessions[i % 6]!.recover(gus.recoveryCodes[0]!)))
  t.equal(countOutcomes(answers)['200'], 1, JSON.stringify(countOutcomes(answers)))
  t.ok((countOutcomes(answers)['400 RECOVERY_CODE_INVALID'] ?? 0) >= 5, 'the losers are judged')
  t.equal(await left(gus), 4)
})

t.test('R2 the same from one verified session, which may use codes too', async (t) => {
  const bob = await (await signUp(app, 'bob')).enrol()
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => at(bob, i % 2 === 0 ? app : replica).recover(bob.recoveryCodes[0]!))
  )
  t.equal(countOutcomes(answers)['200'], 1, JSON.stringify(countOutcomes(answers)))
  t.equal(await left(bob), 4)
})

t.test('R2 different codes in parallel from different sessions: each success is one code less', async (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const cyd = await (await signUp(app, `cyd${round}`)).enrol()
    const sessions = await sessionsOf(cyd, 5, [app, replica])
    // A recovery code that another session uses does not end a verified session, so several may succeed.
    for (const session of sessions.slice(0, 2)) expect(200, await session.verify())
    const answers = await Promise.all(sessions.map((session, i) => session.recover(cyd.recoveryCodes[i]!)))
    const { 200: successes = 0, '401 SESSION_ENDED': ended = 0 } = countOutcomes(answers)
    t.ok(successes >= 2, JSON.stringify(countOutcomes(answers)))
    t.equal(successes + ended, 5, 'a request whose session ended keeps the code')
    t.equal(await left(cyd), 5 - successes)
    const told = answers.flatMap((answer) =>
      answer.statusCode === 200 ? [answer.json<{ recoveryCodesLeft: number }>().recoveryCodesLeft] : []
    )
    t.same(told.sort(), Array.from({ length: successes }, (_, i) => 5 - successes + i), 'each answer has the number that is left after it')
  }
})

t.test('R3 regenerating kills the old set, also against a use that races it', async (t) => {
  for (let round = 0; round < ROUNDS; round++) {
    const dan = await (await signUp(app, `dan${round}`)).enrol()
    const [other] = await sessionsOf(dan, 1, [replica])
    const old = dan.recoveryCodes
    const [made, used] = await Promise.all([at(dan, app).request('POST', '/totp/recovery_code/create'), other!.recover(old[0]!)])
    const fresh = expect(201, made).json<string[]>()
    t.equal(fresh.length, 5)
    t.ok(['200', '400 RECOVERY_CODE_INVALID', '401 SESSION_ENDED'].includes(outcome(used)), outcome(used))
    t.equal(await left(dan), 5, 'the used code was of the old set')
    for (const code of old) {
      const [late] = await sessionsOf(dan, 1)
      t.equal(outcome(await late!.recover(code)), '400 RECOVERY_CODE_INVALID')
    }
    const [last] = await sessionsOf(dan, 1)
    t.equal(outcome(await last!.recover(fresh[0]!)), '200')
  }
})

t.test('R3 two regenerations at once: one set lives, whole', async (t) => {
  const eve = await (await signUp(app, 'eve')).enrol()
  const answers = await Promise.all([app, replica].map((where) => at(eve, where).request('POST', '/totp/recovery_code/create')))
  t.same(countOutcomes(answers), { 201: 2 })
  t.equal(await left(eve), 5)
  const works = []
  for (const answer of answers) {
    const [session] = await sessionsOf(eve, 1)
    works.push((await session!.recover(answer.json<string[]>()[0]!)).statusCode === 200)
  }
  t.same(works.sort(), [false, true])
})
