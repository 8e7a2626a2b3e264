import t from 'tap'
import { outcome, countOutcomes } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, type Person, signUp, userId } from '../helpers/person.js'
import { holding, phoneOf, withPhones } from '../helpers/phones.js'

await need('postgres')
const { app, db, clock, another } = await freshApp(t)
const apps = [app, await another()]

/** Returns the same session at a replica. */
const at = (person: Person, replica: number) => person.at(apps[replica % apps.length]!)
const count = async (from: string, person: Person) =>
  (await db.query<{ n: number }>(`select count(*)::int as n from ${from}`, [userId(person)]))[0]!.n
const confirmed = async (person: Person) => await count('otp_device where user_id = $1 and confirmed_at is not null', person)
/** Live sessions with a proof from a removed device. */
const orphans = async (person: Person) => await count(`otp_session s where user_id = $1 and ended_at is null and otp_device_id <> 'recovery'
  and not exists (select from otp_device d where d.user_id = s.user_id and d.id::text = s.otp_device_id)`, person)

t.test('T8 ten devices, not eleven, when five sessions confirm theirs fifty times at once', async (t) => {
  const { person: ada, phones } = await withPhones(app, 'ada', 9)
  await clock.advance(30)
  const sessions: Person[] = []
  for (let i = 0; i < 5; i++) {
    const session = holding(ada, phones[i]!, apps[i % 2])
    expect(200, await session.login())
    expect(200, await session.verify())
    expect(201, await session.create({ name: `Tenth ${i}` }))
    sessions.push(session)
  }
  await clock.freeze()
  const codes = await Promise.all(sessions.map((session) => session.code()))
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => at(sessions[i % 5]!, i).request('POST', '/totp/login', { token: codes[i % 5]! }))
  )
  await clock.unfreeze()
  t.equal(countOutcomes(answers)['200'], 1, JSON.stringify(countOutcomes(answers)))
  t.equal(await confirmed(ada), 10)
  t.equal(await count('otp_device where user_id = $1 and confirmed_at is null', ada), 0, 'the others are dropped')
  const { access } = answers.find(({ statusCode }) => statusCode === 200)!.json<{ access: string }>()
  t.equal(outcome(await ada.request('POST', '/totp/create', {}, access)), '409 OTP_DEVICE_LIMIT')
})

t.test('T8 the last two devices, removed fifty times at once, are never both "not the last"', async (t) => {
  for (const by of ['recovery', 'device']) {
    const { person: bob, phones } = await withPhones(app, `bob-${by}`, 2)
    if (by === 'recovery') {
      expect(200, await bob.login())
      expect(200, await bob.recover())
    }
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => at(bob, i).request('DELETE', `/totp/devices/${phones[(i >> 1) % 2]!.id}`))
    )
    const counts = countOutcomes(answers)
    const left = await confirmed(bob)
    // The first removal ends the requester's session, and so every other request of it.
    t.equal(counts['200'], 1, `${by}: ${JSON.stringify(counts)}`)
    t.equal(left, 1)
    t.equal(await count('otp_recovery_code where user_id = $1', bob) > 0, left > 0, 'codes are there as long as a device is')
    t.equal(await count('otp_session where user_id = $1 and ended_at is null and otp_required', bob) > 0, left > 0)
    t.equal(await orphans(bob), 0)
    t.ok(
      Object.keys(counts).every((one) => ['200', '404 NOT_FOUND', '401 SESSION_ENDED', '503 UNAVAILABLE'].includes(one)),
      JSON.stringify(counts)
    )
  }
})

t.test('T8 a device removed while it verifies leaves no session on it', async (t) => {
  const { person: cyd, phones: [first] } = await withPhones(app, 'cyd', 2)
  await clock.advance(30)
  const sessions = Array.from({ length: 8 }, (_, i) => holding(cyd, first!, apps[i % 2]))
  for (const session of sessions) expect(200, await session.login())
  await clock.freeze()
  const code = await sessions[0]!.code()
  const verifying = Array.from({ length: 50 }, (_, i) => at(sessions[i % 8]!, i).request('POST', '/totp/login', { token: code }))
  const removed = await at(cyd, 1).request('DELETE', `/totp/devices/${first!.id}`)
  const verified = await Promise.all(verifying)
  await clock.unfreeze()
  t.equal(outcome(removed), '200')
  t.ok((countOutcomes(verified)['200'] ?? 0) <= 1, JSON.stringify(countOutcomes(verified)))
  t.equal(await orphans(cyd), 0)
  t.equal(await count('otp_session where user_id = $1 and ended_at is null', cyd), 1, 'the one that asked')
})

t.test('T8 a removal against a confirmation: never a device without codes, never codes without a device', async (t) => {
  for (let round = 0; round < 4; round++) {
    const { person: dan, phones: [only] } = await withPhones(app, `dan${round}`, 1)
    expect(201, await dan.create({ name: 'Second' }))
    const second = phoneOf(dan)
    await clock.freeze()
    const code = await dan.code()
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => i % 2 === round % 2
      ? at(dan, i >> 1).request('DELETE', `/totp/devices/${only!.id}`)
      : at(dan, i >> 1).request('POST', '/totp/login', { token: code })))
    await clock.unfreeze()
    const devices = await db.query<{ id: string }>('select id from otp_device where user_id = $1', [userId(dan)])
    t.ok(devices.length === 0 || (devices.length === 1 && devices[0]!.id === second.id), JSON.stringify(countOutcomes(answers)))
    t.equal(await count('otp_recovery_code where user_id = $1', dan) > 0, devices.length > 0)
    t.equal(await orphans(dan), 0)
  }
})

t.test('E6 a stranger\'s removals change nothing, however many', async (t) => {
  const { person: eve, phones } = await withPhones(app, 'eve', 2)
  const mallory = await (await signUp(app, 'mallory')).enrol()
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => at(mallory, i).request('DELETE', `/totp/devices/${phones[i % 2]!.id}`))
  )
  t.same(countOutcomes(answers), { '404 NOT_FOUND': 50 })
  t.equal(await confirmed(eve), 2)
})
