import t from 'tap'
import { insist, outcome, countOutcomes } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { secretOf, totp, stepAt } from '../helpers/authenticator.js'
import { doorOf } from '../helpers/door.js'
import { expect, sessionsOf, signUp, userId, type Person } from '../helpers/person.js'

const { app, db, clock } = await freshApp(t)
const { isHost, making } = doorOf(app)

interface Enrolment { deviceId: string, otpUrl: string, recoveryCodes: string[], expiresAt: string }
const create = async (person: Person) => expect(201, await person.create()).json<Enrolment>()
const status = async (person: Person) =>
  (await person.request('GET', '/totp/status')).json<{ isOtpEnabled: boolean, isPending: boolean, recoveryCodesLeft: number }>()
const off = { isOtpEnabled: false, isPending: false, recoveryCodesLeft: 0 }
const devices = async (person: Person) => await db.query('select id from otp_device where user_id = $1', [userId(person)])
const codes = async (person: Person) => await db.query('select digest from otp_recovery_code where user_id = $1', [userId(person)])

t.test('T7 R4 a pending device changes nothing for any session', async (t) => {
  const ada = await signUp(app, 'ada')
  expect(200, await ada.login())
  const { recoveryCodes, expiresAt } = await create(ada)
  t.equal(Math.round((Date.parse(expiresAt) - (await clock.now()).getTime()) / 60_000), 10)
  t.match(await status(ada), { ...off, isPending: true })
  const other = ada.elsewhere()
  const login = expect(200, await other.login()).json<{ otpRequired: boolean }>()
  if (!isHost) t.equal(login.otpRequired, false, 'login does not mention it')
  t.match(await status(other), off, 'nor does it wait for another session')
  for (const person of [ada, other]) {
    t.equal(outcome(await person.request('GET', '/account')), '200', 'no guard asks for it')
    t.equal(outcome(await person.recover(recoveryCodes[0]!)), '400 RECOVERY_CODE_INVALID', 'its codes are dead')
  }
  expect(200, await ada.confirm())
  t.match(await status(ada), { isOtpEnabled: true, isPending: false, recoveryCodesLeft: 5 })
  t.equal(outcome(await other.request('GET', '/account')), '401 SESSION_ENDED', 'now the other sessions have ended')
})

t.test('T7 again, it answers the same secret and codes; thirty times, and no limit is filled', async (t) => {
  const bob = await signUp(app, 'bob')
  expect(200, await bob.login())
  const first = await create(bob)
  t.equal(new Set(first.recoveryCodes).size, 5)
  for (let i = 0; i < 30; i++) {
    const { deviceId, otpUrl, recoveryCodes } = await create(bob)
    t.same([deviceId, otpUrl, recoveryCodes], [first.deviceId, first.otpUrl, first.recoveryCodes])
  }
  t.equal((await devices(bob)).length, 1)
  t.equal((await codes(bob)).length, 5)
  expect(200, await bob.confirm())
  for (const code of first.recoveryCodes) {
    const [session] = await sessionsOf(bob, 1)
    t.equal(outcome(await session!.recover(code)), '200', 'each of the first answer')
  }
})

t.test('T7 each call renews the expiry, and the tenth wrong code ends it all the same', async (t) => {
  const bea = await signUp(app, 'bea')
  expect(200, await bea.login())
  const first = await create(bea)
  await clock.advance(596)
  expect(200, await bea.refreshTokens())
  const again = expect(201, await bea.create({ password: bea.password })).json<Enrolment>()
  t.same([again.otpUrl, again.recoveryCodes], [first.otpUrl, first.recoveryCodes])
  await clock.advance(500)
  expect(200, await bea.refreshTokens())
  for (let i = 0; i < 9; i++) t.equal(outcome(await bea.verify(await bea.code(20 + i))), '400 OTP_INVALID')
  expect(201, await bea.create({ password: bea.password }))
  t.equal(outcome(await bea.verify(await bea.code(40))), '400 OTP_INVALID')
  t.equal(outcome(await bea.verify(await bea.code())), '400 OTP_NOT_SET_UP', 'wrong codes are counted over all calls')
})

t.test('T7 thirty sessions set up and abandoned: the thirty-first still can, and one wins', async (t) => {
  const cyd = await signUp(app, 'cyd')
  const sessions = await sessionsOf(cyd, 31)
  const made = []
  for (const session of sessions) made.push(await create(session))
  t.equal(new Set(made.map(({ otpUrl }) => otpUrl)).size, 31, 'each a secret of its own')
  cyd.phone.secret = secretOf(made[30]!.otpUrl)
  expect(200, await sessions[30]!.confirm())
  t.equal((await devices(sessions[30]!)).length, 1, 'the others are deleted')
  t.equal((await codes(sessions[30]!)).length, 5)
})

t.test('T7 ten in parallel leave one pending device and one set of codes, and all answers show them', async (t) => {
  const dan = await signUp(app, 'dan')
  expect(200, await dan.login())
  const answers = await Promise.all(Array.from({ length: 10 }, () => insist(() => dan.create())))
  t.same(countOutcomes(answers), { 201: 10 })
  t.equal(new Set(answers.map((answer) => answer.json<Enrolment>().otpUrl)).size, 1)
  t.equal((await devices(dan)).length, 1)
  const kept = await codes(dan)
  t.equal(kept.length, 5)
  expect(200, await dan.confirm())
  const shown = new Set(answers.flatMap((answer) => answer.json<Enrolment>().recoveryCodes))
  t.equal(shown.size, 5)
  for (const code of shown) {
    const [session] = await sessionsOf(dan, 1)
    t.equal(outcome(await session!.recover(code)), '200')
  }
})

t.test('T7 a second user of the same password sees another secret, and confirms nothing of the first', async (t) => {
  const [owner, thief] = await sessionsOf(await signUp(app, 'eve'), 2)
  const { otpUrl, deviceId } = await create(owner!)
  const secret = secretOf(otpUrl)
  const code = async () => totp(secret, stepAt(await clock.now()))
  t.equal(outcome(await thief!.verify(await code())), '400 OTP_NOT_SET_UP')
  const theirs = expect(201, await thief!.request('POST', '/totp/create')).json<Enrolment>()
  t.not(theirs.otpUrl, otpUrl)
  t.not(theirs.deviceId, deviceId)
  t.equal(outcome(await thief!.verify(await code())), '400 OTP_INVALID')
  t.equal(outcome(await thief!.request('DELETE', '/totp/rollback')), '200')
  t.match(await status(owner!), { ...off, isPending: true }, 'nor takes it back')
  t.equal(outcome(await owner!.confirm(await code())), '200')
})

t.test('T7 abandoned, it ends after OTP_SETUP_SECONDS: nothing is pending or accepted, the next one is new', async (t) => {
  const fay = await signUp(app, 'fay')
  expect(200, await fay.login())
  const first = await create(fay)
  await clock.advance(599)
  expect(200, await fay.refreshTokens())
  t.equal((await status(fay)).isPending, true)
  await clock.advance(2)
  t.match(await status(fay), off)
  t.equal(outcome(await fay.confirm(await fay.code())), '400 OTP_NOT_SET_UP')
  t.equal(outcome(await fay.request('DELETE', '/totp/rollback')), '400 OTP_NOT_SET_UP')
  expect(200, await fay.login())
  await create(fay)
  await clock.advance(601)
  expect(200, await fay.refreshTokens())
  const second = expect(201, await fay.request('POST', '/totp/create', { password: fay.password })).json<Enrolment>()
  t.not(second.otpUrl, first.otpUrl)
})

t.test('T7 taken back, it leaves nothing', async (t) => {
  const gil = await signUp(app, 'gil')
  expect(200, await gil.login())
  t.equal(outcome(await gil.request('DELETE', '/totp/rollback')), '400 OTP_NOT_SET_UP')
  await create(gil)
  expect(200, await gil.request('DELETE', '/totp/rollback'))
  t.same([await devices(gil), await codes(gil)], [[], []])
  t.match(await status(gil), off)
  t.equal(outcome(await gil.confirm(await gil.code())), '400 OTP_NOT_SET_UP')
  await create(gil)
  expect(200, await gil.confirm())
  t.equal(outcome(await gil.request('DELETE', '/totp/rollback')), '409 OTP_ALREADY_ENABLED')
})

t.test('T7 create never overwrites a confirmed device', async (t) => {
  const hal = await (await signUp(app, 'hal')).enrol()
  const before = await db.query('select device_id, secret, last_step from otp_totp where user_id = $1', [userId(hal)])
  const [unverified] = await sessionsOf(hal, 1)
  for (const method of making) {
    t.equal(outcome(await unverified!.request(method, '/totp/create')), '403 OTP_REQUIRED')
  }
  t.equal(
    outcome(await unverified!.request('POST', '/totp/create', { password: hal.password })),
    '403 OTP_REQUIRED',
    'the password is no second factor'
  )
  const further = expect(201, await hal.request('POST', '/totp/create')).json<Enrolment>()
  t.same(further.recoveryCodes, [], 'the set in force stays')
  t.equal((await status(hal)).recoveryCodesLeft, 5)
  t.same(
    await db.query('select device_id, secret, last_step from otp_totp where user_id = $1 and last_step >= 0', [userId(hal)]),
    before
  )
})
