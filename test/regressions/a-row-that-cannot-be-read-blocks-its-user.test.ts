import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { consumeAttempt } from '../../src/factors/attempt-statements.js'
import { returnAttempt } from '../../src/factors/lockout-statements.js'
import { readSessionContext } from '../../src/sessions/statements.js'
import { outcome, countOutcomes } from '../helpers/answers.js'
import { freshApp, type App } from '../helpers/app.js'
import { expect, sessionsOf, signUp, userId, type Person } from '../helpers/person.js'
import { holding, phoneOf, withPhones } from '../helpers/phones.js'
import { failuresOf } from '../helpers/stored.js'

const { app, db, clock } = await freshApp(t)
const lines = linesOf(app)

/** Collects the errors that the app logs from now on. */
function linesOf (app: App): Array<{ table?: string, row?: string }> {
  const logged: Array<{ table?: string, row?: string }> = []
  app.log.error = ((line: object) => { logged.push(line) }) as typeof app.log.error
  return logged
}

/** Changes the row as if a key that was removed from SEAL_KEYS had sealed it. */
async function lose (deviceId: string): Promise<() => Promise<unknown>> {
  await db.query("update otp_totp set secret = 'gone.' || split_part(secret, '.', 2) where device_id = $1", [deviceId])
  return async () => await db.query(
    "update otp_totp set secret = 'test-seal.' || split_part(secret, '.', 2) where device_id = $1", [deviceId])
}

async function unverified (person: Person, phone = phoneOf(person)): Promise<Person> {
  const session = holding(person, phone)
  // Moves past the step of the last code.
  await clock.advance(30)
  expect(200, await session.login())
  return session
}

/** Assignments that make a device's row unreadable. */
const broken = [
  "secret = 'gone.' || split_part(secret, '.', 2)", "secret = ''", "secret = 'test-seal.AAAA'",
  'period_seconds = 0', 'period_seconds = -30', 'digits = 0', 'digits = 400'
]

t.test('one device of two cannot be read: it is skipped and logged once, a code of the other is accepted', async (t) => {
  const { person: ada, phones: [first, second] } = await withPhones(app, 'ada', 2)
  const [before] = await db.query<{ secret: string }>('select secret from otp_totp where device_id = $1', [first!.id])
  for (const assignment of broken) {
    await db.query(`update otp_totp set ${assignment} where device_id = $1`, [first!.id])
    const session = await unverified(ada, second)
    t.equal(outcome(await session.verify()), '200', assignment)
    t.equal(outcome(await session.request('GET', '/totp/devices')), '200', 'it is listed')
    await db.query('update otp_totp set secret = $2, period_seconds = 30, digits = 6 where device_id = $1', [first!.id, before!.secret])
  }
  t.same(lines.filter(({ row }) => row === first!.id).map(({ table }) => table), ['otp_device'])
  t.equal(outcome(await (await unverified(ada, first)).verify()), '200', 'and taken again once it can be read')
})

t.test('a wrong code that one of two devices judged is consumed', async (t) => {
  const { person: bob, phones: [first, second] } = await withPhones(app, 'bob', 2)
  await lose(first!.id)
  const session = await unverified(bob, second)
  for (let i = 1; i <= 5; i++) {
    t.equal(outcome(await session.verify(await session.code(20 + i))), '400 OTP_INVALID')
    t.equal(await failuresOf(db, bob), i)
  }
  t.equal(outcome(await session.verify()), '429 OTP_LOCKED')
})

t.test('no device can be read: no code is judged, so none is consumed and nothing is locked', async (t) => {
  const { person: cyd, phones: [first, second] } = await withPhones(app, 'cyd', 2)
  const back = [await lose(first!.id), await lose(second!.id)]
  const session = await unverified(cyd, second)
  for (let i = 0; i < 7; i++) t.equal(outcome(await session.verify(await session.code(i))), '500 INTERNAL_ERROR')
  const sessions = await sessionsOf(session, 5)
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => sessions[i % 5]!.verify(String(100_000 + i))))
  t.same(Object.keys(countOutcomes(answers)).filter((seen) => !['500 INTERNAL_ERROR', '429 OTP_LOCKED'].includes(seen)), [])
  t.same(await db.query('select failures, locked_until, wrong_codes_at from otp_user where user_id = $1', [userId(session)]),
    [{ failures: 0, locked_until: null, wrong_codes_at: [] }])
  for (let i = 0; i < 6; i++) t.equal(outcome(await cyd.verify(await session.code(i))), '500 INTERNAL_ERROR')
  t.equal(outcome(await cyd.request('GET', '/session')), '200', 'nor does it end a verified session')
  t.equal(outcome(await (await unverified(cyd)).recover(cyd.recoveryCodes[0])), '200', 'a recovery code works')
  for (const putBack of back) await putBack()
  t.equal(outcome(await (await unverified(cyd, second)).verify()), '200')
})

t.test('a fault in between gives no extra attempt', async (t) => {
  const dan = await (await signUp(app, 'dan')).enrol()
  const session = await unverified(dan)
  for (let i = 0; i < 4; i++) t.equal(outcome(await session.verify(await session.code(20 + i))), '400 OTP_INVALID')
  const putBack = await lose(dan.deviceId!)
  t.equal(outcome(await session.verify(await session.code(30))), '500 INTERNAL_ERROR')
  t.equal(await failuresOf(db, dan), 4)
  await putBack()
  t.equal(outcome(await session.verify(await session.code(31))), '400 OTP_INVALID')
  t.equal(outcome(await session.verify()), '429 OTP_LOCKED', 'the fifth judged one locks')
})

t.test('an attempt that is given back after the owner logged in takes nothing from the next count', async (t) => {
  const fay = await (await signUp(app, 'fay')).enrol()
  const session = await unverified(fay)
  const { db: inside } = insideOf(app)
  const requester = {
    context: (await readSessionContext(inside, userId(session), String(session.claims()['sid']))).reading!.context,
    ip: '',
    network: '',
    agent: ''
  }
  const { consumedAtMicros } = await consumeAttempt(inside, requester)
  const owner = await unverified(fay)
  expect(200, await owner.verify())
  for (let i = 0; i < 3; i++) t.equal(outcome(await session.verify(await session.code(20 + i))), '400 OTP_INVALID')
  for (let i = 0; i < 2; i++) await returnAttempt(inside, requester, { consumedAtMicros, verified: false, confirmed: true, pending: false })
  const counts = await db.query('select failures, cardinality(wrong_codes_at) as slow from otp_user where user_id = $1', [userId(fay)])
  t.same(counts, [{ failures: 3, slow: 3 }])
})

t.test('a pending device that cannot be read is replaced by the next call', async (t) => {
  const eve = await signUp(app, 'eve')
  expect(200, await eve.login())
  for (const [table, column, key] of [['otp_totp', 'secret', 'device_id'], ['otp_device', 'seed', 'id']] as const) {
    const first = expect(201, await eve.create()).json<{ deviceId: string, recoveryCodes: string[] }>()
    await db.query(`update ${table} set ${column} = 'gone.AAAA' where ${key} = $1`, [first.deviceId])
    if (column === 'secret') {
      for (let i = 0; i < 12; i++) {
        t.equal(outcome(await eve.verify(await eve.code(i))), '500 INTERNAL_ERROR', 'its ten codes are not consumed')
      }
    }
    const second = expect(201, await eve.create()).json<{ deviceId: string, recoveryCodes: string[] }>()
    t.not(second.deviceId, first.deviceId, column)
    t.notOk(second.recoveryCodes.some((code) => first.recoveryCodes.includes(code)))
  }
  t.equal(outcome(await eve.confirm()), '200')
  t.same(await db.query('select seed from otp_device where user_id = $1', [userId(eve)]), [{ seed: null }])
})
