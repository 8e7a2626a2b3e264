import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { PERIOD_SECONDS } from '../helpers/authenticator.js'
import { expect, signUp } from '../helpers/person.js'

/*
 * The removal of a session's device replaces it by one that owes a code and ends no later. `extend: true` counted its
 * time from the start of the new one, and so went past that end; and a code of another device began a whole new life.
 */

const PENDING = 10
const LIFE = { SESSION_SECONDS: '600', REFRESH_SECONDS: '600', ACCESS_SECONDS: '600', OTP_PENDING_SECONDS: String(PENDING) }

t.test('no session outlives the one that it replaced', async (t) => {
  const { app, db, clock } = await freshApp(t, LIFE)
  await clock.freeze()
  const ada = await (await signUp(app)).enrol()
  const first = { ...ada.phone }
  const seconds = async () => (await clock.now()).getTime() / 1000
  const endsAt = await seconds() + 600
  expect(201, await ada.create({ name: 'second' }))
  expect(200, await ada.confirm())
  await clock.advance(endsAt - PERIOD_SECONDS - await seconds())
  expect(200, await ada.verify())
  await clock.advance(endsAt - PENDING / 2 - await seconds())
  const removed = expect(200, await ada.request('DELETE', `/totp/devices/${ada.deviceId}`)).json<{ refresh: string }>()
  const extended = expect(200, await app.inject({
    method: 'POST', url: '/token/refresh', payload: { refresh: removed.refresh, extend: true }
  })).json<{ access: string, otpRequired: boolean, otpExpiresAt: string }>()
  t.equal(extended.otpRequired, true)
  const after = Date.parse(extended.otpExpiresAt) / 1000 - endsAt
  t.ok(after <= 0 && after > -PENDING, `${after} s after the end of the first`)

  Object.assign(ada, { access: extended.access, phone: first })
  // A new code, without a step of the clock.
  ada.phone.lastStep = 0
  expect(200, await ada.verify())
  const [session] = await db.query<{ at: Date }>('select expires_at as at from otp_session where ended_at is null')
  const more = session!.at.getTime() / 1000 - endsAt
  t.ok(more <= 11 * PENDING, `${more} s after the end of the first, which the time for a code after the log-in may add`)
})
