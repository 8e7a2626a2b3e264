import t from 'tap'
import { LONGEST_TYPED_CODE } from '../../src/core/texts.js'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { totp } from '../helpers/authenticator.js'
import { expect, sessionsOf, signUp, userId } from '../helpers/person.js'

const { app, db, clock } = await freshApp(t)
const STEP = 59_850_000
const at = (seconds: number) => clock.freeze(new Date((STEP * 30 + seconds) * 1000))

t.test('T4 T13 a code works from 30 s before its step to 30 s after, by the database\'s clock', async (t) => {
  await at(-10_000)
  const ada = await (await signUp(app, 'ada')).enrol()
  const code = totp(ada.phone.secret!, STEP)
  /** [seconds after the step began, accepted?] */
  for (const [seconds, accepted] of [[-31, false], [-30, true], [0, true], [59, true], [60, false]] as const) {
    await at(seconds)
    // Removes the used step and the failure.
    await db.query('update otp_totp set last_step = -1 where user_id = $1', [userId(ada)])
    await db.query('update otp_user set failures = 0, locked_until = null where user_id = $1', [userId(ada)])
    const [session] = await sessionsOf(ada, 1)
    t.equal(outcome(await session!.verify(code)), accepted ? '200' : '400 OTP_INVALID', `${seconds} s`)
  }
})

t.test('T4 the same edges when a device is confirmed', async (t) => {
  await at(-10_000)
  const bob = await signUp(app, 'bob')
  for (const [seconds, accepted] of [[-31, false], [60, false], [59, true]] as const) {
    await at(seconds)
    expect(200, await bob.login())
    expect(201, await bob.create())
    t.equal(outcome(await bob.confirm(totp(bob.phone.secret!, STEP))), accepted ? '200' : '400 OTP_INVALID', `${seconds} s`)
  }
})

t.test('T3 after N, an unused N-1 of the window is refused; N+1 is not', async (t) => {
  await at(0)
  const eve = await (await signUp(app, 'eve')).enrol()
  await clock.advance(300)
  const [a, b, c] = await sessionsOf(eve, 3)
  const codes = await Promise.all([-1, 0, 1].map((offset) => eve.code(offset)))
  t.equal(outcome(await a!.verify(codes[1])), '200', 'N')
  t.equal(outcome(await b!.verify(codes[0])), '400 OTP_INVALID', 'N-1, never used')
  t.equal(outcome(await b!.verify(codes[1])), '400 OTP_INVALID', 'N again')
  t.equal(outcome(await b!.verify(codes[2])), '200', 'N+1, from a phone that is ahead')
  await clock.advance(30)
  t.equal(outcome(await c!.verify(await eve.code(0))), '400 OTP_INVALID', 'used up while it was ahead')
  t.equal(outcome(await c!.verify(await eve.code(1))), '200')
})

t.test('T3 T15 a database clock that steps back opens no used step', async (t) => {
  await at(10_000)
  const fay = await (await signUp(app, 'fay')).enrol()
  const used = await fay.code(0)
  await clock.advance(-60)
  const [session] = await sessionsOf(fay, 1)
  for (const offset of [-1, 0, 1]) t.equal(outcome(await session!.verify(await fay.code(offset))), '400 OTP_INVALID', `step ${offset}`)
  await clock.advance(60)
  t.equal(outcome(await session!.verify(used)), '400 OTP_INVALID')
  await clock.advance(600)
  t.equal(outcome(await (await sessionsOf(fay, 1))[0]!.verify()), '200', 'and the next real step works')
})

t.test('E4 T13 codes in the spellings that people type', async (t) => {
  await at(20_000)
  const ivy = await (await signUp(app, 'ivy')).enrol()
  const spelled = [
    (code: string) => `${code.slice(0, 3)} ${code.slice(3)}`, (code: string) => `${code.slice(0, 3)}-${code.slice(3)}`,
    (code: string) => ` ${code}\n`
  ]
  for (const spell of spelled) {
    const [session] = await sessionsOf(ivy, 1)
    t.equal(outcome(await session!.verify(spell(await ivy.nextCode()))), '200', JSON.stringify(spell('123456')))
  }
})

t.test('E4 nothing else is coerced into a code, and none of it costs an attempt', async (t) => {
  const [ivy] = await sessionsOf((await signUp(app, 'joy')), 1)
  await ivy!.create()
  expect(200, await ivy!.confirm())
  const [session] = await sessionsOf(ivy!, 1)
  const code = await ivy!.nextCode()
  const fullWidth = Array.from(code, (digit) => String.fromCharCode(digit.charCodeAt(0) + 0xFEE0)).join('')
  const shapes: unknown[] = [Number(code), [code], { token: code }, null, true, undefined, 121639.7, [[code]], Number(code) + 0.7]
  for (const token of shapes) {
    t.equal(outcome(await session!.request('POST', '/totp/login', { token })), '400 REQUEST_INVALID', JSON.stringify(token) ?? 'nothing')
  }
  for (const body of [
    [code], { token: code, extra: 1 }, { Token: code }, {}, JSON.parse(`{"token":"${code}","__proto__":{"a":1}}`) as object
  ]) {
    t.equal(outcome(await session!.request('POST', '/totp/login', body)), '400 REQUEST_INVALID', JSON.stringify(body))
  }
  const texts = [
    `+${code.slice(1)}`, `${code}.0`, `${code}.7`, `${code}\u0000`, '', ' ', '-', `0x${code}`, `${code}e0`, `${code}000`,
    `"${code}"`, '😀'.repeat(6)
  ]
  for (const text of texts) t.equal(outcome(await session!.verify(text)), '400 OTP_INVALID', JSON.stringify(text))
  t.equal(outcome(await session!.verify('1'.repeat(LONGEST_TYPED_CODE + 1))), '400 REQUEST_INVALID')
  t.equal(outcome(await session!.verify(fullWidth)), '200', 'digits count by their value, and the budget is whole')
})
