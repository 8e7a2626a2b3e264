import { normaliseRecoveryCode, normaliseWeakCode, recoveryDigest, weakRecoveryDigest } from '../../core/recovery-codes.js'
import { Refusal } from '../../core/refusals.js'
import type { Requester, SessionFacts } from '../../core/session.js'
import { consumeAttempt, type ConsumedAttempt } from '../attempt-statements.js'
import { readStatus } from '../enrolment-statements.js'
import { burnRecoveryCode, refuseRecovery, replaceRecoveryCodes } from './statements.js'
import { released, isPaid, lock, noteRefused, otpLocked } from '../attempts.js'
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
  requester: Requester,
  text: string
): Promise<{ session: SessionFacts, recoveryCodesLeft: number }> {
  const { db, settings, counters } = deps
  const { userId } = requester.context
  const { digest: found, isWeak } = await digestOf(deps, userId, text)
  // Only after the digest: a key that cannot be read must not consume an attempt.
  const attempt = isWeak ? await consumeForWeak(deps, requester) : null
  const digest = attempt === null || isPaid(attempt) ? found : null
  const committed = digest === null ? null : await burnRecoveryCode(db, requester, digest, nextSessionId(deps, requester), settings)
  if (committed !== null) {
    released(deps, userId)
    counters.count('codes_total', ['recovery', 'accepted'])
    counters.count('recovery_codes_left_total', [String(committed.codesLeft)])
    return { session: announce(deps, requester, committed, 'recovered'), recoveryCodesLeft: committed.codesLeft }
  }
  counters.count('codes_total', ['recovery', 'refused'])
  if (attempt === null) throw await refuseRecovery(db, requester) ? new Refusal('RECOVERY_CODE_INVALID') : sessionEnded(deps, requester)

  await noteRefused(deps, requester, attempt, 'recovery_refused')
  throw new Refusal('RECOVERY_CODE_INVALID')
}

/**
 * Consumes an attempt for a code that has the form of django-otp's: 40 bits, which can be guessed. So each text of that
 * form is an attempt, like the digits of an app, consumed before it is compared. Codes of Countersign have 120 bits and
 * consume no attempt.
 */
async function consumeForWeak (deps: OtpDeps, requester: Requester): Promise<ConsumedAttempt> {
  const { db, locks, counters } = deps
  const { userId, otpDeviceId } = requester.context
  const locked = (seconds: number) => {
    counters.count('codes_total', ['recovery', 'locked'])
    return otpLocked(seconds)
  }
  const knownLock = otpDeviceId === null ? locks.waitSeconds(userId) : 0
  if (knownLock > 0) throw locked(knownLock)
  const attempt = await consumeAttempt(db, requester)
  if (!attempt.alive) throw sessionEnded(deps, requester)
  if (attempt.lockedSeconds === 0) return attempt
  lock(deps, requester, attempt.lockedSeconds)
  throw locked(attempt.lockedSeconds)
}

/** Returns the digest to look for, null if the text is no code; `isWeak` if the code is so short that a guess costs an attempt. */
async function digestOf (deps: OtpDeps, userId: string, text: string): Promise<{ digest: string | null, isWeak: boolean }> {
  const weak = normaliseWeakCode(text)
  if (weak !== null) return { digest: weakRecoveryDigest(await deps.digestKey(), userId, weak), isWeak: true }
  const code = normaliseRecoveryCode(text)
  return { digest: code === null ? null : recoveryDigest(await deps.digestKey(), userId, code), isWeak: false }
}

/** Replaces the set of codes by a new one, also against a concurrent use of an old code. Requires a fresh, verified session. */
export async function regenerateRecoveryCodes (deps: OtpDeps, requester: Requester): Promise<string[]> {
  const { db, sessions, settings, counters } = deps
  const { userId, sessionId } = requester.context
  const codes = newCodes(settings.recoveryCodes)
  const replaced = await replaceRecoveryCodes(db, requester, digestsOf(await deps.digestKey(), userId, codes))
  if (replaced === null) {
    const { confirmedDevices } = await readStatus(db, userId, sessionId)
    throw confirmedDevices === 0 ? new Refusal('OTP_NOT_SET_UP') : sessionEnded(deps, requester)
  }
  sessions.ended(userId, replaced.endedIds)
  counters.count('sessions_ended_total', ['codes_replaced'], replaced.endedIds.length)
  return codes
}
