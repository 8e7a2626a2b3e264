import { Refusal } from '../../core/refusals.js'
import type { Requester, AnsweredSession } from '../../core/session.js'
import { consumeAttempt, type ConsumedAttempt } from '../attempt-statements.js'
import { readStatus } from '../enrolment-statements.js'
import { readCandidates, type Candidates } from './candidates.js'
import { commitRecovered } from './kind.js'
import { refuseRecovery, replaceRecoveryCodes } from './statements.js'
import { released, lock, noteRefused, otpLocked } from '../attempts.js'
import { announce, nextSessionId, type OtpDeps } from '../deps.js'
import { sessionEnded } from '../../sessions/session-ended.js'
import { sessionEndedOrOwes } from '../missing-proof.js'
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
): Promise<{ session: AnsweredSession, recoveryCodesLeft: number }> {
  const { db, settings, counters } = deps
  const { userId } = requester.context
  const candidates = await readCandidates(deps, userId, text)
  // Only after the keys were read: a key that cannot be read must not consume an attempt.
  const attempt = candidates.isWeak ? await consumeForWeak(deps, requester) : null
  const consume = async ({ digests: digestsOfCode }: Candidates) => {
    const digests = await digestsOfCode()
    return digests.length === 0 ? null : await commitRecovered(db, requester, digests, nextSessionId(deps, requester), settings)
  }
  let committed = null
  if (attempt === null || attempt.isPaid) {
    committed = await consume(candidates)
    // Another process may have replaced the digest of the right code since it was read. The attempt is the same one.
    if (committed === null && candidates.mayHarden) committed = await consume(await readCandidates(deps, userId, text))
  }
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
 * Consumes an attempt for a text that may be a weak code of the user, which can be guessed. So each text of that form is an
 * attempt, like the digits of an app, consumed before it is compared. Codes of Countersign have 120 bits and consume no attempt.
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
  const attempt = await consumeAttempt(db, requester, 'recovery')
  if (!attempt.alive) throw sessionEnded(deps, requester)
  if (attempt.lockedSeconds === 0) return attempt
  lock(deps, requester, attempt.lockedSeconds)
  throw locked(attempt.lockedSeconds)
}

/** Replaces the set of codes by a new one, also against a concurrent use of an old code. Requires a fresh, verified session. */
export async function regenerateRecoveryCodes (deps: OtpDeps, requester: Requester): Promise<string[]> {
  const { db, sessions, settings, counters } = deps
  const { userId, sessionId } = requester.context
  const codes = newCodes(settings.recoveryCodes)
  const replaced = await replaceRecoveryCodes(db, requester, digestsOf(await deps.digestKey(), userId, codes))
  if (replaced === null) {
    const { confirmedDevices } = await readStatus(db, userId, sessionId)
    throw confirmedDevices === 0 ? new Refusal('OTP_NOT_SET_UP') : await sessionEndedOrOwes(deps, requester)
  }
  sessions.ended(userId, replaced.endedIds)
  counters.count('sessions_ended_total', ['codes_replaced'], replaced.endedIds.length)
  return codes
}
