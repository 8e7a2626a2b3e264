import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { insist, outcome, countOutcomes } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { cleanUp } from '../helpers/cleanup.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, userId, type Person } from '../helpers/person.js'

await need('postgres')

const { app, db, another } = await freshApp(t)
const replica = await another({ OTP_RECOVERY_CODES: '8' })

interface Enrolment { deviceId: string, otpUrl: string, recoveryCodes: string[] }
const create = async (person: Person) => expect(201, await person.create()).json<Enrolment>()

/** Returns the same session at the other replica, which has other settings. */
function there (person: Person): Person {
  const same = person.elsewhere(replica)
  same.access = person.access
  return same
}

async function accepted (person: Person, codes: string[]): Promise<number> {
  let count = 0
  for (const code of codes) {
    const [session] = await sessionsOf(person, 1)
    if (outcome(await session!.recover(code)) === '200') count++
  }
  return count
}

t.test('fifty at once, at two replicas that are set to other numbers: every answer shows the codes that work afterwards', async (t) => {
  const ada = await signUp(app, 'ada')
  expect(200, await ada.login())
  const twin = there(ada)
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => insist(() => (i % 2 === 0 ? ada : twin).create())))
  t.same(countOutcomes(answers), { 201: 50 })
  const shown = answers.map((answer) => answer.json<Enrolment>())
  t.equal(new Set(shown.map(({ deviceId, otpUrl, recoveryCodes }) => JSON.stringify([deviceId, otpUrl, recoveryCodes]))).size, 1)
  expect(200, await ada.confirm())
  t.equal(await accepted(ada, shown[0]!.recoveryCodes), shown[0]!.recoveryCodes.length)
  t.same(await db.query('select from otp_recovery_code where user_id = $1 and used_at is null', [userId(ada)]), [])
})

t.test('OTP_RECOVERY_CODES is changed between two calls: the set that was shown stays', async (t) => {
  const bob = await signUp(app, 'bob')
  expect(200, await bob.login())
  const first = await create(bob)
  t.same((await create(there(bob))).recoveryCodes, first.recoveryCodes)
  expect(200, await bob.request('DELETE', '/totp/rollback'))
  const next = await create(there(bob))
  t.equal(next.recoveryCodes.length, 8, 'a new set-up goes by the setting')
  t.notOk(next.recoveryCodes.some((code) => first.recoveryCodes.includes(code)))
})

t.test('a pending device that an older version made keeps its secret, and gets codes once', async (t) => {
  const cyd = await signUp(app, 'cyd')
  expect(200, await cyd.login())
  const old = await create(cyd)
  await db.query('update otp_device set seed = null where id = $1', [old.deviceId])
  const next = await create(cyd)
  t.equal(next.otpUrl, old.otpUrl)
  t.notOk(next.recoveryCodes.some((code) => old.recoveryCodes.includes(code)))
  t.same((await create(cyd)).recoveryCodes, next.recoveryCodes)

  // A call at an older version in between replaces them with codes of its own.
  await db.query("update otp_recovery_code set digest = 'of an older version ' || digest where user_id = $1", [userId(cyd)])
  t.same((await create(cyd)).recoveryCodes, next.recoveryCodes)
  expect(200, await cyd.confirm())
  t.equal(await accepted(cyd, next.recoveryCodes), 5)
})

t.test('a confirmed device has no seed, in any version that confirmed it; a further device never has one', async (t) => {
  const dan = await (await signUp(app, 'dan')).enrol()
  t.same((await create(dan)).recoveryCodes, [])
  t.same(await db.query('select seed from otp_device where user_id = $1', [userId(dan)]), [{ seed: null }, { seed: null }])
  await db.query("update otp_device set seed = 'left behind' where user_id = $1 and confirmed_at is not null", [userId(dan)])
  await cleanUp(insideOf(app).db, 400)
  t.same(await db.query('select seed from otp_device where user_id = $1', [userId(dan)]), [{ seed: null }, { seed: null }])
})
