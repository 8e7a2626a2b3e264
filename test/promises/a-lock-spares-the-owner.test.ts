import t from 'tap'
import { bodyOf, outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { expect, sessionsOf, signUp, userId, type Person } from '../helpers/person.js'
import { countEvents, failuresOf } from '../helpers/stored.js'
import { until } from '../helpers/wait.js'

const { app, db, clock } = await freshApp(t)

/** Returns the session of an attacker with only the password, after it consumed the budget. */
async function lockOut (person: Person): Promise<Person> {
  const [thief] = await sessionsOf(person, 1)
  for (let i = 0; i < 5; i++) t.equal(outcome(await thief!.verify(await person.wrongCode(i))), '400 OTP_INVALID')
  return thief!
}

t.test('T11 a wrong password never reaches the counter', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  for (let i = 0; i < 6; i++) t.equal(outcome(await ada.elsewhere().login('wrong password')), '401 CREDENTIALS_INVALID')
  t.equal(await failuresOf(db, ada), 0)
})

t.test('T11 during a lock, right, wrong and used codes get one answer; afterwards the right one works', async (t) => {
  const bob = await (await signUp(app, 'bob')).enrol()
  const used = await bob.code()
  await lockOut(bob)
  const [session, other] = await sessionsOf(bob, 2)
  const answers = [
    await session!.verify(await bob.code(1)), await session!.verify(await bob.wrongCode(7)), await session!.verify(used),
    await other!.verify(await bob.wrongCode(8))
  ]
  t.same(answers.map(outcome), Array(4).fill('429 OTP_LOCKED'))
  const said = (body: string) => body.replace(/"retryAfterSeconds":\d+/, '')
  t.equal(new Set(answers.map((answer) => said(bodyOf(answer)))).size, 1, 'word for word')
  t.equal(await failuresOf(db, bob), 5, 'and none is counted: a lock does not get longer')

  await clock.advance(61)
  const code = await bob.nextCode()
  await until('the lock to be forgotten', async () => (await session!.verify(code)).statusCode === 200)
  t.equal(await failuresOf(db, bob), 0, 'an accepted code resets')
  const [again] = await sessionsOf(bob, 1)
  t.equal(outcome(await again!.verify(await bob.wrongCode(9))), '400 OTP_INVALID', 'the whole budget is back')
})

t.test('T11 open verified sessions go on during a lock, and step up', async (t) => {
  const eve = await (await signUp(app, 'eve')).enrol()
  await lockOut(eve)
  expect(200, await eve.request('GET', '/account'))
  t.equal(outcome(await eve.verify()), '200')
})

t.test('T11 a verified session has its own five attempts: they end it and lock no other session', async (t) => {
  const fay = await (await signUp(app, 'fay')).enrol()
  const [other] = await sessionsOf(fay, 1)
  expect(200, await other!.verify())
  for (let i = 0; i < 4; i++) t.equal(outcome(await other!.verify(await fay.wrongCode(i))), '400 OTP_INVALID')
  t.equal(outcome(await other!.verify(await fay.wrongCode(4))), '401 SESSION_ENDED')
  t.equal(outcome(await other!.request('GET', '/account')), '401 SESSION_ENDED')
  t.equal(outcome(await other!.refreshTokens()), '401 SESSION_ENDED')
  t.equal(await failuresOf(db, fay), 0)
  t.equal(await countEvents(db, fay, 'otp_session_spent'), 1)
  expect(200, await fay.request('GET', '/account'))

  for (let i = 0; i < 4; i++) await fay.verify(await fay.wrongCode(i + 10))
  expect(200, await fay.verify())
  for (let i = 0; i < 4; i++) {
    t.equal(outcome(await fay.verify(await fay.wrongCode(i + 20))), '400 OTP_INVALID', 'an accepted code gives a session its five again')
  }
})

t.test('T11 recovery codes are never locked; using one clears the lock and ends the unverified sessions', async (t) => {
  const guy = await (await signUp(app, 'guy')).enrol()
  const thief = await lockOut(guy)
  const [owner] = await sessionsOf(guy, 1)
  for (let i = 0; i < 20; i++) t.equal(outcome(await owner!.recover(`0000-0000-0000-0000-0000-00${10 + i}`)), '400 RECOVERY_CODE_INVALID')
  t.equal(await failuresOf(db, guy), 5, 'wrong recovery codes count nowhere')
  t.equal(outcome(await owner!.recover(guy.recoveryCodes[0]!)), '200')
  t.equal(await failuresOf(db, guy), 0)
  t.equal(outcome(await thief.verify(await guy.wrongCode(6))), '401 SESSION_ENDED')
  t.equal(outcome(await guy.request('GET', '/session')), '200', 'verified sessions stay')
  const [next] = await sessionsOf(guy, 1)
  t.equal(outcome(await next!.verify()), '200', 'and TOTP works at once')
})

t.test('T11 a pending device\'s wrong codes lock nothing', async (t) => {
  const ivy = await signUp(app, 'ivy')
  expect(200, await ivy.login())
  expect(201, await ivy.create())
  for (let i = 0; i < 9; i++) t.equal(outcome(await ivy.verify(await ivy.wrongCode(i))), '400 OTP_INVALID')
  t.equal(await failuresOf(db, ivy), 0)
  t.equal(outcome(await ivy.confirm()), '200', 'the tenth may be right')
})

/** Writes failures as another replica would: this process has no record of them. */
const haveFailed = (person: Person, failures: number, lockedSeconds: number) =>
  db.query(
    'update otp_user set failures = $2, locked_until = test_clock.clock_timestamp() + make_interval(secs => $3) where user_id = $1',
    [userId(person), failures, lockedSeconds]
  )

t.test('T11 a lock that this process has not read yet', async (t) => {
  for (const [i, code] of ['right', 'wrong'].entries()) {
    const kim = await (await signUp(app, `kim${i}`)).enrol()
    const [session] = await sessionsOf(kim, 1)
    await haveFailed(kim, 5, 60)
    const answer = await session!.verify(code === 'right' ? await kim.nextCode() : await kim.wrongCode(0))
    t.equal(outcome(answer), '429 OTP_LOCKED', code)
    t.ok(answer.json().retryAfterSeconds <= 60)
  }
})

t.test('T14 a hundred failures in a row stop TOTP, for any length of time, until a recovery code releases it', async (t) => {
  const joy = await (await signUp(app, 'joy')).enrol()
  await haveFailed(joy, 99, -1)
  const [session] = await sessionsOf(joy, 1)
  t.equal(outcome(await session!.verify(await joy.wrongCode(0))), '400 OTP_INVALID', 'the hundredth is judged')
  t.equal(await failuresOf(db, joy), 100)
  for (const days of [1, 30, 400]) {
    const late = await (await signUp(app, `late${days}`)).enrol()
    await haveFailed(late, 100, 3_600)
    await clock.advance(days * 86_400)
    const [later] = await sessionsOf(late, 1)
    t.equal(outcome(await later!.verify()), '429 OTP_LOCKED', `the right code, ${days} days later`)
    t.equal(await failuresOf(db, late), 100)
  }
  const [owner] = await sessionsOf(joy, 1)
  expect(200, await owner!.recover(joy.recoveryCodes[0]!))
  t.equal(await failuresOf(db, joy), 0)
  const [next] = await sessionsOf(joy, 1)
  t.equal(outcome(await next!.verify()), '200')
})

t.test('T14 three hundred failures in thirty days stop TOTP too; recovery codes work, verified sessions step up', async (t) => {
  const max = await (await signUp(app, 'max')).enrol()
  await db.query(`update otp_user set wrong_codes_at = array(
    select test_clock.clock_timestamp() - make_interval(hours => n) from generate_series(299, 1, -1) n
  ) where user_id = $1`, [userId(max)])
  const [thief, owner] = await sessionsOf(max, 2)
  t.equal(outcome(await owner!.verify()), '200', 'the three hundredth may be right')
  t.equal(outcome(await thief!.verify(await max.wrongCode(0))), '400 OTP_INVALID')
  for (const code of [await max.wrongCode(1), await max.code(1)]) {
    const answer = await thief!.verify(code)
    t.equal(outcome(answer), '429 OTP_LOCKED')
    t.equal(answer.json().needsRecovery, true)
  }
  t.equal(await countEvents(db, max, 'otp_stopped'), 1)
  t.equal(outcome(await max.verify()), '200', 'a verified session steps up')
  t.equal(outcome(await thief!.verify(await max.code(1))), '429 OTP_LOCKED', 'which releases no other session')
  const [lost] = await sessionsOf(max, 1)
  t.equal(outcome(await lost!.recover(max.recoveryCodes[0])), '200')
  const [next] = await sessionsOf(max, 1)
  t.equal(outcome(await next!.verify()), '200')
})
