import t from 'tap'
import { missingAssurance, type Demand, type SessionContext } from '../../src/core/assurance.js'

const session: SessionContext = {
  userId: 'u',
  sessionId: 's',
  otpRequired: false,
  otpDeviceId: null,
  otpTime: null,
  otpDeadline: null,
  authTime: 1000,
  expiresAt: 9000
}

/** [name, session context, demand, seconds, missing assurance] */
const cases: ReadonlyArray<readonly [string, Partial<SessionContext>, Demand, number, ReturnType<typeof missingAssurance>]> = [
  ['no deadline', {}, {}, 5000, null],
  ['before it', { otpDeadline: 2000 }, {}, 1999.9, null],
  ['from it on', { otpDeadline: 2000 }, {}, 2000, 'OTP_SETUP_REQUIRED'],
  ['it had passed when the password was given, and this clock is a little behind', { otpDeadline: 1000 }, {}, 999.9, 'OTP_SETUP_REQUIRED'],
  ['said before that the password is too old', { otpDeadline: 2000 }, { maxAge: 60 }, 5000, 'OTP_SETUP_REQUIRED'],
  ['and before that a second factor is asked for', { otpDeadline: 2000 }, { required: true }, 5000, 'OTP_SETUP_REQUIRED'],
  ['before it, where a second factor is asked for', { otpDeadline: 2000 }, { required: true }, 1500, 'OTP_REQUIRED'],
  ['a session with a device has none', { otpDeadline: 2000, otpDeviceId: 'd', otpTime: 1000 }, {}, 5000, null],
  ['nor one that owes a code: that is what it lacks', { otpDeadline: 2000, otpRequired: true }, {}, 5000, 'OTP_REQUIRED']
]

t.test('the deadline of a session without a device', async (t) => {
  for (const [what, context, demand, nowSeconds, lack] of cases) {
    t.equal(missingAssurance({ ...session, ...context }, demand, nowSeconds), lack, what)
  }
})
