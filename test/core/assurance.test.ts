import t from 'tap'
import {
  amr, amrOf, missingAssurance, type Demand, type MissingAssurance, type SessionContext
} from '../../src/core/assurance.js'

/** In the place of a device in a session that a recovery code verified. */
const RECOVERY = 'recovery'
const NOW = 1_800_000_000
const session: SessionContext = {
  userId: 'ada',
  sessionId: 's',
  otpRequired: false,
  otpDeviceId: null,
  otpTime: null,
  otpDeadline: null,
  authTime: NOW,
  expiresAt: NOW + 60
}

/** Session contexts: the differences from a session whose password was given just now. */
const password = (secondsAgo: number): Partial<SessionContext> => ({ authTime: NOW - secondsAgo })
const owing = (secondsAgo: number): Partial<SessionContext> => ({ ...password(secondsAgo), otpRequired: true })
const verified = (secondsAgo: number, otpDeviceId = 'd'): Partial<SessionContext> =>
  ({ ...owing(10_000), otpDeviceId, otpTime: NOW - secondsAgo })

const passkey = (secondsAgo: number): Partial<SessionContext> => ({ ...verified(secondsAgo), phrTime: NOW - secondsAgo })

/** [session context, demand, missing assurance] */
const cases: ReadonlyArray<readonly [Partial<SessionContext>, Demand, MissingAssurance | null]> = [
  // 2FA is optional: a user without a factor passes the plain guard, and not the strict one.
  [password(0), {}, null],
  [password(100_000), {}, null],
  [password(0), { required: true }, 'OTP_REQUIRED'],
  [password(300), { maxAge: 300 }, null],
  [password(301), { maxAge: 300 }, 'OTP_STALE'],
  [password(0), { required: true, maxAge: 300 }, 'OTP_REQUIRED'],
  // T9: a user with a factor passes no guard without it, however fresh the password.
  [owing(0), {}, 'OTP_REQUIRED'],
  [owing(0), { required: true }, 'OTP_REQUIRED'],
  [owing(0), { maxAge: 300 }, 'OTP_REQUIRED'],
  [owing(0), { maxAge: 0 }, 'OTP_REQUIRED'],
  // A verified session is judged by the age of the code, not of the password.
  [verified(0), {}, null],
  [verified(100_000), {}, null],
  [verified(100_000), { required: true }, null],
  [verified(300), { maxAge: 300 }, null],
  [verified(301), { maxAge: 300 }, 'OTP_STALE'],
  [verified(301), { required: true, maxAge: 300 }, 'OTP_STALE'],
  [verified(0), { maxAge: 0 }, null],
  [verified(1), { maxAge: 0 }, 'OTP_STALE'],
  [{ ...verified(301), authTime: NOW }, { maxAge: 300 }, 'OTP_STALE'],
  // A recovery code counts as verified.
  [verified(0, RECOVERY), { required: true, maxAge: 300 }, null],
  [verified(301, RECOVERY), { maxAge: 300 }, 'OTP_STALE'],
  // K4: only a passkey counts, by its own time, whatever was proven since. Waiting or a code does not help, so it is never OTP_STALE.
  [verified(0), { phishingResistant: true }, 'PHISHING_RESISTANT_REQUIRED'],
  [verified(0, RECOVERY), { phishingResistant: true }, 'PHISHING_RESISTANT_REQUIRED'],
  [{ ...verified(0), phrTime: null }, { phishingResistant: true, maxAge: 300 }, 'PHISHING_RESISTANT_REQUIRED'],
  [passkey(0), { phishingResistant: true }, null],
  [passkey(100_000), { phishingResistant: true, required: true }, null],
  [passkey(100_000), { phishingResistant: false }, null],
  [passkey(300), { phishingResistant: true, maxAge: 300 }, null],
  [passkey(301), { phishingResistant: true, maxAge: 300 }, 'PHISHING_RESISTANT_REQUIRED'],
  [{ ...passkey(301), otpTime: NOW }, { phishingResistant: true, maxAge: 300 }, 'PHISHING_RESISTANT_REQUIRED'],
  [{ ...passkey(301), otpTime: NOW }, { maxAge: 300 }, null],
  [owing(0), { phishingResistant: true }, 'PHISHING_RESISTANT_REQUIRED'],
  [password(0), { phishingResistant: true }, 'OTP_REQUIRED'],
  [password(0), { phishingResistant: true, maxAge: 300 }, 'OTP_REQUIRED'],
  [{ ...password(0), otpDeadline: NOW - 1 }, { phishingResistant: true }, 'OTP_SETUP_REQUIRED'],
  // A time of a passkey without a verified session does not occur, but must not pass.
  [{ ...owing(0), phrTime: NOW }, { phishingResistant: true }, 'PHISHING_RESISTANT_REQUIRED'],
  // A session verified at an unknown time does not occur, but must not pass.
  [{ ...verified(0), otpTime: null }, { maxAge: 300 }, 'OTP_STALE']
]

t.test('T8 T9 R6 what a session lacks for what is asked', async (t) => {
  for (const [who, demand, lack] of cases) {
    t.equal(missingAssurance({ ...session, ...who }, demand, NOW), lack, `${JSON.stringify(who)} asked for ${JSON.stringify(demand)}`)
  }
})

t.test('J4 R5 no two ways in look alike', async (t) => {
  t.same(amr, {
    password: ['pwd'], totp: ['pwd', 'otp', 'mfa'], passkey: ['pwd', 'pop', 'user', 'mfa'], recovery: ['pwd', 'recovery', 'mfa']
  })
})

/** [device, time of the last proof, time of the last passkey, methods] */
const methods = [
  [null, null, null, ['pwd']],
  ['d', 5, null, ['pwd', 'otp', 'mfa']],
  ['d', 5, 5, ['pwd', 'pop', 'user', 'mfa']],
  ['d', 6, 5, ['pwd', 'otp', 'mfa', 'pop', 'user']],
  [RECOVERY, 6, null, ['pwd', 'recovery', 'mfa']],
  [RECOVERY, 6, 5, ['pwd', 'recovery', 'mfa', 'pop', 'user']]
] as const

t.test('J4 the methods of a session follow from its proofs', async (t) => {
  for (const [otpDeviceId, otpTime, phrTime, expected] of methods) t.strictSame(amrOf({ otpDeviceId, otpTime, phrTime }), expected)
})
