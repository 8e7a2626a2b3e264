import { randomUUID } from 'node:crypto'
import { newEnrolmentSeed, seededRecoveryCodes, seededTotpSecret } from '../core/totp/enrolment-seed.js'
import { codeDigest, codeKey, codeText, newRecoveryCode } from '../core/recovery/recovery-codes.js'
import { Refusal } from '../core/refusals.js'
import { missingProof } from './missing-proof.js'
import type { DeviceKind } from './commit.js'
import type { ActorProof } from './confirm.js'
import { missingAssurance } from '../core/assurance.js'
import type { Requester } from '../core/session.js'
import { otpauthUrl, standardTotp } from '../core/totp/totp.js'
import {
  dropPendingDevice, putPendingDevice, putProvenDevice, putTotp, type NewDevice, type StoredPending
} from './enrolment-statements.js'
import { type OtpDeps } from './deps.js'
import { sessionEnded } from '../sessions/session-ended.js'
import type { Tx } from '../tables/transaction.js'
import { confirmProvenTotp } from './totp/kind.js'
import { devicePlace, seedPlace } from './totp/verification.js'

export interface Enrolment {
  deviceId: string
  /** Shown only now; not valid until the device is confirmed. Empty for a further device: the set in force stays. */
  recoveryCodes: string[]
  expiresAt: Date
}

export interface EnrolmentRequest {
  /** Name of the device, chosen by the owner. */
  name: string
  /** Checks the password of the request, if it has one; throws a Refusal if it is wrong. */
  checkPassword: (() => Promise<void>) | null
}

/**
 * Begins a set-up: one pending device of this session, and for the first device a set of recovery codes. A repeated call
 * returns the same secret and codes, with a new expiry; another session of the user gets its own secret. If the session has a
 * pending device of another kind, that one is replaced, with the same codes.
 *
 * The first device requires a fresh password, a further one a fresh code or passkey.
 *
 * @param also stores what only this kind needs, in the same transaction
 */
export async function enrol (
  deps: OtpDeps,
  requester: Requester,
  kind: DeviceKind,
  { name, checkPassword }: EnrolmentRequest,
  also: NewDevice['also']
): Promise<Enrolment & { secret: Uint8Array }> {
  const { db, seal, settings } = deps
  const { userId } = requester.context
  await requireFreshProof(deps, requester, checkPassword)

  const digestKey = await deps.digestKey()
  let shown: { secret: Uint8Array, recoveryCodes: string[] } = { secret: new Uint8Array(), recoveryCodes: [] }
  const put = await putPendingDevice(db, requester, {
    name,
    kind,
    setupSeconds: settings.setupSeconds,
    also,
    prepare (stored, isFirst) {
      const { id, secret, seed, codes } = open(deps, userId, kind, stored) ?? newPending()
      const recoveryCodes = isFirst ? seededRecoveryCodes(seed, codes ?? settings.recoveryCodes) : []
      shown = { secret, recoveryCodes }
      return {
        id,
        sealedSecret: kind === 'totp' ? seal.seal(secret, devicePlace(userId, { id })) : null,
        sealedSeed: isFirst ? seal.seal(seed, seedPlace(userId, { id })) : null,
        digests: digestsOf(digestKey, userId, recoveryCodes)
      }
    }
  })
  switch (put.outcome) {
    case 'session_ended': throw sessionEnded(deps, requester)
    case 'otp_required': throw await missingProof(deps, requester.context, 'OTP_REQUIRED')
    case 'too_many': throw new Refusal('OTP_DEVICE_LIMIT')
    case 'pending': return { deviceId: put.id, ...shown, expiresAt: put.expiresAt }
  }
}

/** @throws {Refusal} */
async function requireFreshProof (
  deps: OtpDeps, { context }: Requester, checkPassword: EnrolmentRequest['checkPassword']
): Promise<void> {
  const { sessions, settings } = deps
  if (context.otpDeviceId !== null || context.otpRequired) {
    const lack = missingAssurance(context, { maxAge: settings.freshSeconds }, sessions.nowSeconds())
    if (lack !== null) throw await missingProof(deps, context, lack, settings.freshSeconds)
  } else if (checkPassword !== null) {
    await checkPassword()
  } else if (sessions.nowSeconds() - context.authTime > settings.reauthSeconds) {
    throw new Refusal('REAUTH_REQUIRED')
  }
}

/**
 * Begins the set-up of an authenticator app.
 *
 * @param label text that the app shows beside the issuer
 */
export async function enrolTotp (
  deps: OtpDeps, requester: Requester, label: string, request: EnrolmentRequest
): Promise<Enrolment & { otpUrl: string }> {
  const { secret, ...enrolment } = await enrol(deps, requester, 'totp', request, (tx, { id, sealedSecret }) =>
    putTotp(tx, requester.context.userId, { id, sealedSecret: sealedSecret!, ...standardTotp }))
  return { ...enrolment, otpUrl: otpauthUrl(deps.settings.issuer, label, secret, standardTotp) }
}

/** First device whose code was judged before anything was stored. */
export interface ProvenDevice {
  id: string
  name: string
  sealedSecret: string
  /** Step of that code, which is consumed. */
  step: number
  /** Digests of its recovery codes. */
  digests: string[]
}

/** Returns the secret and the recovery codes of a first device, to be shown before anything is stored. */
export function newEnrolment (recoveryCodes: number): { id: string, secret: Buffer, recoveryCodes: string[] } {
  const { id, secret, seed } = newPending()
  return { id, secret, recoveryCodes: seededRecoveryCodes(seed, recoveryCodes) }
}

/** Enrols a user whom this transaction creates, by the statements of a set-up over HTTP. */
export async function enrolProven (
  tx: Tx, { id, name, sealedSecret, step, digests }: ProvenDevice, by: Omit<ActorProof, 'deviceId'>
): Promise<void> {
  await putProvenDevice(tx, by.userId, { id, name, kind: 'totp', digests })
  await putTotp(tx, by.userId, { id, sealedSecret, ...standardTotp })
  const isConfirmed = await confirmProvenTotp(tx, { ...by, deviceId: id, step, resealed: null })
  if (!isConfirmed) throw new Error('The new device could not be confirmed.')
}

interface OpenPending {
  id: string
  secret: Buffer
  seed: Buffer
  /** Number of recovery codes shown with it; undefined if none of them comes from the seed. */
  codes?: number
}

function newPending (seed = newEnrolmentSeed()): OpenPending {
  return { id: randomUUID(), secret: seededTotpSecret(seed), seed }
}

/**
 * Opens the stored pending device. The codes of a device that an older version made are not known: it keeps its secret and
 * gets a seed. A device of another kind gives its seed, and so its codes, to the one that replaces it.
 *
 * @returns null if there is none, or it cannot be read: nothing depends on it yet, so another one replaces it
 */
function open ({ seal, unreadable }: OtpDeps, userId: string, kind: DeviceKind, stored: StoredPending | null): OpenPending | null {
  if (stored === null) return null
  const { id, sealedSecret, sealedSeed, codes } = stored
  try {
    const seed = sealedSeed === null || codes === 0 ? null : seal.open(sealedSeed, seedPlace(userId, { id })).plain
    if (stored.kind !== kind) return seed === null ? null : { ...newPending(seed), codes }
    const secret = sealedSecret === null ? Buffer.alloc(0) : seal.open(sealedSecret, devicePlace(userId, { id })).plain
    return seed === null ? { id, secret, seed: newEnrolmentSeed() } : { id, secret, seed, codes }
  } catch (error) {
    unreadable('otp_device', id, error)
    return null
  }
}

export function newCodes (count: number): string[] {
  return Array.from({ length: count }, newRecoveryCode)
}

export function digestsOf (digestKey: Buffer, userId: string, codes: readonly string[]): string[] {
  const key = codeKey(digestKey, userId)
  return codes.map((code) => codeDigest(key, 'own', codeText('own', code)!))
}

/** Deletes this session's pending device and its codes. */
export async function rollBack ({ db }: OtpDeps, { context: { userId, sessionId } }: Requester): Promise<void> {
  switch (await dropPendingDevice(db, userId, sessionId)) {
    case 'rolled_back': return
    case 'confirmed': throw new Refusal('OTP_ALREADY_ENABLED')
    case 'nothing_pending': throw new Refusal('OTP_NOT_SET_UP')
  }
}
