import { normaliseRecoveryCode, normaliseWeakCode, recoveryDigest, weakRecoveryDigest } from '../../core/recovery-codes.js'
import { Refusal } from '../../core/refusals.js'
import type { Asking, SessionFacts } from '../../core/session.js'
import { spendAttempt, type SpentAttempt } from '../attempt-statements.js'
import { readStatus } from '../enrolment-statements.js'
import { burnRecoveryCode, refuseRecovery, replaceRecoveryCodes } from './statements.js'
import { freed, isPaid, lock, noteRefused, otpLocked } from '../attempts.js'
import { announce, nextSessionId, type OtpDeps } from '../deps.js'
import { sessionEnded } from '../../sessions/session-ended.js'
import { digestsOf, newCodes } from '../enrolment.js'

/**
 * Uses a recovery code. Returns the resulting verified session and the number of codes left.
 *
 * @throws {Refusal}
 */
export async function recover (
  deps: OtpDeps,
  asking: Asking,
  text: string
): Promise<{ session: SessionFacts, recoveryCodesLeft: number }> {
  const { db, settings, tally } = deps
  const { userId } = asking.standing
  const { digest: found, isWeak } = await digestOf(deps, userId, text)
  // Only after the digest: a key that cannot be read must not consume an attempt.
  const spent = isWeak ? await spendOnWeak(deps, asking) : null
  const digest = spent === null || isPaid(spent) ? found : null
  const committed = digest === null ? null : await burnRecoveryCode(db, asking, digest, nextSessionId(deps, asking), settings)
  if (committed !== null) {
    freed(deps, userId)
    tally.count('codes_total', ['recovery', 'accepted'])
    tally.count('recovery_codes_left_total', [String(committed.codesLeft)])
    return { session: announce(deps, asking, committed, 'recovered'), recoveryCodesLeft: committed.codesLeft }
  }
  tally.count('codes_total', ['recovery', 'refused'])
  if (spent === null) throw await refuseRecovery(db, asking) ? new Refusal('RECOVERY_CODE_INVALID') : sessionEnded(deps, asking)

  await noteRefused(deps, asking, spent, 'recovery_refused')
  throw new Refusal('RECOVERY_CODE_INVALID')
}

/**
 * Consumes an attempt for a code that has the form of django-otp's: 40 bits, which can be guessed. So each text of that
 * form is an attempt, like the digits of an app, consumed before it is compared. Codes of Countersign have 120 bits and
 * consume no attempt.
 */
async function spendOnWeak (deps: OtpDeps, asking: Asking): Promise<SpentAttempt> {
  const { db, locks, tally } = deps
  const { userId, otpDeviceId } = asking.standing
  const locked = (seconds: number) => {
    tally.count('codes_total', ['recovery', 'locked'])
    return otpLocked(seconds)
  }
  const knownLock = otpDeviceId === null ? locks.waitSeconds(userId) : 0
  if (knownLock > 0) throw locked(knownLock)
  const spent = await spendAttempt(db, asking)
  if (!spent.alive) throw sessionEnded(deps, asking)
  if (spent.lockedSeconds === 0) return spent
  lock(deps, asking, spent.lockedSeconds)
  throw locked(spent.lockedSeconds)
}

/** Returns the digest to look for, null if the text is no code; `isWeak` if the code is so short that a guess costs an attempt. */
async function digestOf (deps: OtpDeps, userId: string, text: string): Promise<{ digest: string | null, isWeak: boolean }> {
  const weak = normaliseWeakCode(text)
  if (weak !== null) return { digest: weakRecoveryDigest(await deps.digestKey(), userId, weak), isWeak: true }
  const code = normaliseRecoveryCode(text)
  return { digest: code === null ? null : recoveryDigest(await deps.digestKey(), userId, code), isWeak: false }
}

/** Replaces the set of codes by a new one, also against a concurrent use of an old code. Requires a fresh, verified session. */
export async function regenerateRecoveryCodes (deps: OtpDeps, asking: Asking): Promise<string[]> {
  const { db, sessions, settings, tally } = deps
  const { userId, sessionId } = asking.standing
  const codes = newCodes(settings.recoveryCodes)
  const replaced = await replaceRecoveryCodes(db, asking, digestsOf(await deps.digestKey(), userId, codes))
  if (replaced === null) {
    const { confirmedDevices } = await readStatus(db, userId, sessionId)
    throw confirmedDevices === 0 ? new Refusal('OTP_NOT_SET_UP') : sessionEnded(deps, asking)
  }
  sessions.ended(userId, replaced.endedIds)
  tally.count('sessions_ended_total', ['codes_replaced'], replaced.endedIds.length)
  return codes
}
