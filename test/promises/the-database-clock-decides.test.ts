import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { doorOf } from '../helpers/door.js'
import { expect, sessionsOf, signUp } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

const realNow = Date.now
const RealDate = Date

/** Sets the process's wall clock off by `seconds`, for all readers. */
function shiftProcessClock (seconds: number): void {
  Date.now = () => realNow() + seconds * 1000
  globalThis.Date = class extends RealDate {
    constructor (...args: [] | [number | string | Date]) {
      super(...(args.length === 0 ? [realNow() + seconds * 1000] : args) as [number])
    }
  } as DateConstructor
  globalThis.Date.now = () => realNow() + seconds * 1000
}
function restoreProcessClock (): void {
  globalThis.Date = RealDate
  Date.now = realNow
}
t.teardown(restoreProcessClock)

/** The process's clock is off by this many seconds before the app starts. */
for (const seconds of [30, -3_600]) {
  t.test(`T15 a process whose clock is off by ${seconds} s`, async (t) => {
    const instant = new RealDate(realNow())
    shiftProcessClock(seconds)
    t.teardown(restoreProcessClock)
    const { app, clock } = await freshApp(t)
    // The embedded database reads this process's clock, so the test clock provides the right time.
    await clock.freeze(instant)
    const nowSeconds = async () => Math.floor((await clock.now()).getTime() / 1000)

    const ada = await (await signUp(app, 'ada')).enrol()
    const { isHost } = doorOf(app)
    if (!isHost) t.equal(ada.claims()['iat'], await nowSeconds(), 'tokens are dated by the database')
    t.equal(ada.claims()['otp_time'], await nowSeconds())
    t.equal(outcome(await ada.request('GET', '/account')), '200')
    await clock.advance(90)
    const [session, other] = await sessionsOf(ada, 2)
    for (const offset of [-2, 2]) t.equal(outcome(await other!.verify(await ada.code(offset))), '400 OTP_INVALID', `step ${offset}`)
    t.equal(outcome(await session!.verify(await ada.code(-1))), '200', 'the window is the database\'s')

    // The clock changes during the test: to the right time, and to the same error in the other direction.
    for (const step of [0, -seconds, seconds]) {
      shiftProcessClock(step)
      await clock.advance(30)
      const [later] = await sessionsOf(ada, 1)
      t.equal(outcome(await later!.verify(await ada.code(0))), '200', `${step} s off`)
      t.equal(outcome(await session!.request('GET', '/session')), '200', 'sessions live on')
      t.equal(outcome(await session!.refreshTokens()), '200')
    }

    const [late] = await sessionsOf(ada, 1)
    for (let i = 0; i < 5; i++) await late!.verify(await ada.code(i + 5))
    t.equal(outcome(await late!.verify(await ada.code(1))), '429 OTP_LOCKED')
    shiftProcessClock(seconds + 3_600)
    t.equal(outcome(await late!.verify(await ada.code(1))), '429 OTP_LOCKED', 'a lock does not end by the process\'s clock')
    await clock.advance(61)
    const code = await ada.code(0)
    await until('the lock to end by the database\'s', async () => (await late!.verify(code)).statusCode === 200)

    await clock.advance(301)
    if (!isHost) t.equal(outcome(await late!.request('GET', '/session')), '401 TOKEN_INVALID', 'tokens end by the database\'s clock')
    expect(200, await late!.refreshTokens())
    t.equal(outcome(await late!.request('DELETE', '/totp/delete')), '403 OTP_STALE', 'and so does freshness')
  })
}
