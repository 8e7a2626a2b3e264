import { randomUUID } from 'node:crypto'
import { newEnrolmentSeed, seededRecoveryCodes, seededTotpSecret } from '../core/enrolment-seed.js'
import { newRecoveryCode, normaliseRecoveryCode, recoveryDigest } from '../core/recovery-codes.js'
import { Refusal } from '../core/refusals.js'
import { missingAssurance } from '../core/assurance.js'
import type { Requester } from '../core/session.js'
import { otpauthUrl, standardTotp } from '../core/totp.js'
import { dropPendingDevice, putPendingDevice, type StoredPending } from './enrolment-statements.js'
import { type OtpDeps } from './deps.js'
import { sessionEnded } from '../sessions/session-ended.js'
import { devicePlace, seedPlace } from './totp/verification.js'

export interface Enrolment {
  deviceId: string
  otpUrl: string
  /** Shown only now; not valid until the device is confirmed. Empty for a further device: the set in force stays. */
  recoveryCodes: string[]
  expiresAt: Date
}

export interface EnrolmentRequest {
  /** Name of the device, chosen by the owner. */
  name: string
  /** Text that the authenticator app shows beside the issuer. */
  label: string
  /** Checks the password of the request, if it has one; throws a Refusal if it is wrong. */
  checkPassword: (() => Promise<void>) | null
}

/**
 * Begins a set-up: one pending device of this session, and for the first device a set of recovery codes. A repeated call
 * returns the same secret and codes, with a new expiry; another session of the user gets its own secret.
 *
 * The first device requires a fresh password, a further one a fresh code.
 */
export async function enrol (deps: OtpDeps, requester: Requester, { name, label, checkPassword }: EnrolmentRequest): Promise<Enrolment> {
  const { db, seal, sessions, settings } = deps
  const { context } = requester
  const { userId } = context
  const isVerified = context.otpDeviceId !== null
  if (isVerified || context.otpRequired) {
    const lack = missingAssurance(context, { maxAge: settings.freshSeconds }, sessions.nowSeconds())
    if (lack !== null) throw new Refusal(lack, { maxAgeSeconds: settings.freshSeconds })
  } else if (checkPassword !== null) {
    await checkPassword()
  } else if (sessions.nowSeconds() - context.authTime > settings.reauthSeconds) {
    throw new Refusal('REAUTH_REQUIRED')
  }

  const digestKey = await deps.digestKey()
  let shown: { secret: Uint8Array, recoveryCodes: string[] } = { secret: new Uint8Array(), recoveryCodes: [] }
  const put = await putPendingDevice(db, requester, {
    name,
    ...standardTotp,
    setupSeconds: settings.setupSeconds,
    prepare (stored, isFirst) {
      const { id, secret, seed, codes } = open(deps, userId, stored) ?? newPending()
      const recoveryCodes = isFirst ? seededRecoveryCodes(seed, codes ?? settings.recoveryCodes) : []
      shown = { secret, recoveryCodes }
      return {
        id,
        sealedSecret: seal.seal(secret, devicePlace(userId, { id })),
        sealedSeed: isFirst ? seal.seal(seed, seedPlace(userId, { id })) : null,
        digests: digestsOf(digestKey, userId, recoveryCodes)
      }
    }
  })
  switch (put.outcome) {
    case 'session_ended': throw sessionEnded(deps, requester)
    case 'otp_required': throw new Refusal('OTP_REQUIRED')
    case 'too_many': throw new Refusal('OTP_DEVICE_LIMIT')
    case 'pending': return {
      deviceId: put.id,
      otpUrl: otpauthUrl(settings.issuer, label, shown.secret, standardTotp),
      recoveryCodes: shown.recoveryCodes,
      expiresAt: put.expiresAt
    }
  }
}

interface OpenPending {
  id: string
  secret: Buffer
  seed: Buffer
  /** Number of recovery codes shown with it; undefined if none of them comes from the seed. */
  codes?: number
}

function newPending (): OpenPending {
  const seed = newEnrolmentSeed()
  return { id: randomUUID(), secret: seededTotpSecret(seed), seed }
}

/**
 * Opens the stored pending device. The codes of a device that an older version made are not known: it keeps its secret and
 * gets a seed.
 *
 * @returns null if there is none, or it cannot be read: nothing depends on it yet, so another one replaces it
 */
function open ({ seal, unreadable }: OtpDeps, userId: string, stored: StoredPending | null): OpenPending | null {
  if (stored === null) return null
  const { id, sealedSecret, sealedSeed, codes } = stored
  try {
    const { plain: secret } = seal.open(sealedSecret, devicePlace(userId, { id }))
    if (sealedSeed === null || codes === 0) return { id, secret, seed: newEnrolmentSeed() }
    return { id, secret, seed: seal.open(sealedSeed, seedPlace(userId, { id })).plain, codes }
  } catch (error) {
    unreadable('otp_device', id, error)
    return null
  }
}

export function newCodes (count: number): string[] {
  return Array.from({ length: count }, newRecoveryCode)
}

export function digestsOf (digestKey: Buffer, userId: string, codes: readonly string[]): string[] {
  return codes.map((code) => recoveryDigest(digestKey, userId, normaliseRecoveryCode(code)!))
}

/** Deletes this session's pending device and its codes. */
export async function rollBack ({ db }: OtpDeps, { context: { userId, sessionId } }: Requester): Promise<void> {
  switch (await dropPendingDevice(db, userId, sessionId)) {
    case 'rolled_back': return
    case 'confirmed': throw new Refusal('OTP_ALREADY_ENABLED')
    case 'nothing_pending': throw new Refusal('OTP_NOT_SET_UP')
  }
}
