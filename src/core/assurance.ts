import type { RefusalCode } from './refusals.js'

/** Session context: the facts that the guard judges. Fixed when the session starts; a step-up renews the proof, its device and its time. */
export interface SessionContext {
  /** Id of the user, as the host gives it. */
  userId: string
  /** Id of the session, as the host gives it. */
  sessionId: string
  /** True if the user had a confirmed device when the session started. Confirming one ends the others. */
  otpRequired: boolean
  /** The device that verified the session, `recovery` for a recovery code, null if none did. */
  otpDeviceId: string | null
  /** Unix seconds of the last accepted code or passkey; null if none was. */
  otpTime: number | null
  /** Unix seconds of the last phishing-resistant proof, a passkey. Null if there was none; a copy of an older release has no such field. */
  phrTime?: number | null
  /** Unix seconds. From then on, a session without a device may only set one up. Null where 2FA is optional. */
  otpDeadline: number | null
  /** Unix seconds of the password (OIDC `auth_time`); 0 if a host did not give it, so that a proof of unknown age counts as old. */
  authTime: number
  /** Latest time of a proof that was in the future when a host gave it (Unix seconds); `authTime` is when it was first seen. */
  authClaimedTime?: number | null
  /** Unix seconds. No token and no cache entry of the session outlives this. */
  expiresAt: number
}

/** Assurance that a guarded route requires. `{}` is the plain guard. */
export interface Demand {
  /** True: a second factor is required, also of a user without one. */
  required?: boolean
  /** Greatest age of the proof in seconds: of the second factor, or of the password for a user without a device. */
  maxAge?: number
  /** True: a passkey must have verified the session. `maxAge` is then the greatest age of its use; no other proof renews it. */
  phishingResistant?: boolean
}

export type MissingAssurance =
  Extract<RefusalCode, 'OTP_REQUIRED' | 'OTP_STALE' | 'OTP_SETUP_REQUIRED' | 'PHISHING_RESISTANT_REQUIRED'>

/** Returns the missing assurance of a session; null if it may pass. */
export function missingAssurance (
  context: SessionContext,
  { required = false, maxAge, phishingResistant = false }: Demand,
  nowSeconds: number
): MissingAssurance | null {
  const verified = context.otpDeviceId !== null
  if (phishingResistant && (verified || context.otpRequired)) {
    // Not OTP_STALE, also if the passkey's use is too old: a code could not renew it.
    const isProven = verified && isRecent(context.phrTime ?? null, maxAge, nowSeconds)
    return isProven ? null : 'PHISHING_RESISTANT_REQUIRED'
  }
  if (!verified && context.otpRequired) return 'OTP_REQUIRED'
  // `authTime` counts too: the clock of this process may be a little behind.
  if (!verified && context.otpDeadline !== null && Math.max(nowSeconds, context.authTime) >= context.otpDeadline) {
    return 'OTP_SETUP_REQUIRED'
  }
  if (!verified && (required || phishingResistant)) return 'OTP_REQUIRED'
  if (maxAge === undefined) return null
  return isRecent((verified ? context.otpTime : context.authTime) ?? 0, maxAge, nowSeconds) ? null : 'OTP_STALE'
}

function isRecent (provenAt: number | null, maxAge: number | undefined, nowSeconds: number): boolean {
  return provenAt !== null && (maxAge === undefined || nowSeconds - provenAt <= maxAge)
}

/**
 * Returns the Unix seconds at which a host's proof of `saidTime` counts as given. A host's clock may be ahead: a time in the
 * future counts as the moment when it was first seen, also after it has passed.
 *
 * @returns null for a future time that was not seen before: the caller must record it
 */
export function authTimeOf (
  { authTime, authClaimedTime }: Pick<SessionContext, 'authTime' | 'authClaimedTime'>, saidTime: number, nowSeconds: number
): number | null {
  if (saidTime <= authTime) return saidTime
  if (saidTime <= (authClaimedTime ?? -Infinity)) return authTime
  return saidTime <= nowSeconds ? saidTime : null
}

/**
 * RFC 8176 values for how a session was authenticated. `user` is the test of presence, which every passkey makes. `recovery` is
 * our own: the registry has no value for it.
 */
export const amr = {
  password: ['pwd'],
  totp: ['pwd', 'otp', 'mfa'],
  passkey: ['pwd', 'pop', 'user', 'mfa'],
  recovery: ['pwd', 'recovery', 'mfa']
} as const

/** Phishing-resistant authentication (OpenID Connect Extended Authentication Profile, ACR Values): the claim `acr` after a passkey. */
export const PHISHING_RESISTANT = 'phr'

/**
 * Kinds of proof without a device. Their name stands in its place in `otp_device_id`, in a session and in its tokens: a device's id
 * is a UUID.
 */
const kindsWithoutDevice: ReadonlySet<string> = new Set<keyof typeof amr>(['recovery'])

/** Returns the device with this id in `otp_device_id`; null if none verified the session. */
const deviceOf = (otpDeviceId: string | null): string | null =>
  otpDeviceId === null || kindsWithoutDevice.has(otpDeviceId) ? null : otpDeviceId

/** Returns the factors that the proof of this device relies on: a recovery code is none. */
export function factorIdsOf (otpDeviceId: string | null): string[] {
  const device = deviceOf(otpDeviceId)
  return device === null ? [] : [device]
}

/** Returns the authentication methods of a session with these proofs. */
export function amrOf ({ otpDeviceId, otpTime, phrTime = null }: Pick<SessionContext, 'otpDeviceId' | 'otpTime' | 'phrTime'>): string[] {
  if (otpDeviceId === null) return [...amr.password]
  // The proof that came last is the passkey's own.
  const isOfDevice = deviceOf(otpDeviceId) !== null
  if (phrTime !== null && phrTime === otpTime && isOfDevice) return [...amr.passkey]
  const last = isOfDevice ? amr.totp : amr.recovery
  return [...new Set([...last, ...(phrTime === null ? [] : amr.passkey)])]
}

/**
 * Tests for a plain object of any realm. An object of a class, such as a request, can lack own properties and would be an
 * empty demand.
 */
function isPlain (value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/**
 * Checks a demand when the route is defined. A misspelt name or an undefined number would otherwise be an empty demand, and
 * the guard would be the plain one.
 *
 * @throws {TypeError}
 */
export function checkDemand (demand: unknown, of: string): Demand {
  const fail = (must: string) => { throw new TypeError(`countersign: ${of}() ${must}`) }
  if (!isPlain(demand)) return fail('takes { required, maxAge, phishingResistant }') as never
  for (const [name, value] of Object.entries(demand)) {
    if (name === 'required' || name === 'phishingResistant') {
      if (typeof value !== 'boolean') fail(`wants "${name}" to be true or false`)
    } else if (name === 'maxAge') {
      if (!(Number.isFinite(value) && value >= 0)) fail('wants "maxAge" in seconds, 0 or more')
    } else {
      fail(`has no "${name}"`)
    }
  }
  return { ...demand }
}

/**
 * Checks the demand of a guard that may have none: `guard(client)` is the plain guard. `guard(client, undefined)` is a demand that
 * the caller does not have, such as one that it looked up by a misspelt name.
 *
 * @throws {TypeError}
 */
export function demandOf (given: readonly [demand?: Demand], of: string): Demand | undefined {
  return given.length === 0 ? undefined : checkDemand(given[0], of)
}
