import type { RefusalCode } from './refusals.js'

/** What the guard knows of a session. Fixed when it starts; a step-up renews the proof, its device and time, and nothing takes it back. */
export interface Standing {
  userId: string
  sessionId: string
  /** True if the user had a confirmed device when the session started. Confirming one ends the others. */
  otpRequired: boolean
  /** The device that verified the session, `recovery` for a recovery code, null if none did. */
  otpDeviceId: string | null
  /** Unix seconds of the last accepted code; null if none was. */
  otpTime: number | null
  /** Unix seconds from which on a session without a device opens only what sets one up; null where 2FA is optional. */
  otpDeadline: number | null
  /** Unix seconds of the password (OIDC `auth_time`); 0 where a host did not give it: a proof of unknown age is old. */
  authTime: number
  /** The latest time of a proof that a host gave while it was still to come (Unix seconds); `authTime` is when it was first seen. */
  authClaimedTime?: number | null
  /** Unix seconds. Nothing of a session outlives this. */
  expiresAt: number
}

/** What a guarded place asks for. `{}` is the plain guard. */
export interface Demand {
  /** True: only with a second factor, also for a user who has none. */
  required?: boolean
  /** Verified at most so many seconds ago; the password that recently for a user without a device. */
  maxAge?: number
}

export type Shortfall = Extract<RefusalCode, 'OTP_REQUIRED' | 'OTP_STALE' | 'OTP_SETUP_REQUIRED'>

/** Null if the session may pass; otherwise what it lacks. */
export function shortfall (standing: Standing, { required = false, maxAge }: Demand, nowSeconds: number): Shortfall | null {
  const verified = standing.otpDeviceId !== null
  if (!verified && standing.otpRequired) return 'OTP_REQUIRED'
  // A deadline that had passed when the password was given needs no clock, which may be a little behind here.
  if (!verified && standing.otpDeadline !== null && Math.max(nowSeconds, standing.authTime) >= standing.otpDeadline) return 'OTP_SETUP_REQUIRED'
  if (!verified && required) return 'OTP_REQUIRED'
  if (maxAge === undefined) return null
  const provenAt = (verified ? standing.otpTime : standing.authTime) ?? 0
  return nowSeconds - provenAt <= maxAge ? null : 'OTP_STALE'
}

/**
 * Returns when the proof counts as given (Unix seconds) that a host dates `saidTime`. A host's clock may be ahead: a time
 * that is still to come counts as the moment when it was first seen, also once it has passed.
 *
 * @returns null for a time that is still to come and new: the caller must record it
 */
export function authTimeOf ({ authTime, authClaimedTime }: Pick<Standing, 'authTime' | 'authClaimedTime'>, saidTime: number, nowSeconds: number): number | null {
  if (saidTime <= authTime) return saidTime
  if (saidTime <= (authClaimedTime ?? -Infinity)) return authTime
  return saidTime <= nowSeconds ? saidTime : null
}

/** RFC 8176 values for how a session was authenticated; `recovery` is ours, since the registry has none. */
export const amr = {
  password: ['pwd'],
  totp: ['pwd', 'otp', 'mfa'],
  recovery: ['pwd', 'recovery', 'mfa']
} as const

/** What stands in `otp_device_id` of a session that a recovery code verified. */
export const RECOVERY = 'recovery'

/** Authentication methods of a session that this device verified. */
export function amrOf (otpDeviceId: string | null): readonly string[] {
  if (otpDeviceId === null) return amr.password
  return otpDeviceId === RECOVERY ? amr.recovery : amr.totp
}
