import { FREE_FAILURES, lockSeconds, LONGEST_LOCK_SECONDS, NEVER_SECONDS } from './lockout.js'
import { Refusal } from '../core/refusals.js'
import type { Requester } from '../core/session.js'
import { refuseAttempt, type ConsumedAttempt } from './attempt-statements.js'
import type { RejectedCodes } from './totp/rejected-codes.js'
import { type OtpDeps } from './deps.js'
import { sessionEnded } from '../sessions/session-ended.js'
import type { Locks } from './local-locks.js'

/**
 * Records that a code was refused, with the consequences: a lock, or the end of a verified session.
 *
 * @throws {Refusal} SESSION_ENDED
 */
export async function noteRefused (
  deps: OtpDeps,
  requester: Requester,
  attempt: ConsumedAttempt,
  kind: 'otp_refused' | 'recovery_refused' = 'otp_refused'
): Promise<void> {
  const { db, counters } = deps
  const { alive, sessionExhausted } = await refuseAttempt(db, requester, attempt, kind)
  if (sessionExhausted) counters.count('sessions_ended_total', ['spent'])
  if (sessionExhausted || !alive) throw sessionEnded(deps, requester)
  if (attempt.verified || !attempt.isPaid) return
  if (attempt.isLast) {
    lock(deps, requester, NEVER_SECONDS)
    counters.count('stops_total', [])
  } else if (attempt.failures >= FREE_FAILURES) {
    lock(deps, requester, lockSeconds(attempt.failures))
    counters.count('locks_total', [])
  }
}

/** Period of the codes that are set up here (RFC 6238 §5.2). */
const PERIOD_SECONDS = 30

/**
 * Returns the refusal of a code. It names the time of the next code, whatever was wrong: the answers to a wrong, an expired and
 * a used code are the same.
 */
export function otpInvalid ({ sessions }: Pick<OtpDeps, 'sessions'>): Refusal {
  const nextStep = Math.floor(sessions.nowSeconds() / PERIOD_SECONDS) + 1
  return new Refusal('OTP_INVALID', { nextCodeAt: new Date(nextStep * PERIOD_SECONDS * 1000).toISOString() })
}

/** @param seconds duration of the lock; `NEVER_SECONDS` if no wait ends it */
export function otpLocked (seconds: number): Refusal {
  if (seconds < NEVER_SECONDS) return new Refusal('OTP_LOCKED', { retryAfterSeconds: seconds })
  return new Refusal('OTP_LOCKED', {
    retryAfterSeconds: LONGEST_LOCK_SECONDS,
    needsRecovery: true,
    hint: { key: 'codesStopped' }
  })
}

/** Stores a lock in the process and in Redis, so that further requests cost no statement. */
export function lock ({ locks, rejectedCodes, sessions }: OtpDeps, { context: { userId } }: Requester, seconds: number): void {
  locks.locked(userId, seconds)
  rejectedCodes.locked(userId, Math.ceil(sessions.nowSeconds() + seconds))
}

/** Removes a lock that ended early. */
export function released (
  { locks, rejectedCodes }: { locks: Pick<Locks, 'released'>, rejectedCodes: Pick<RejectedCodes, 'released'> },
  userId: string
): void {
  locks.released(userId)
  rejectedCodes.released(userId)
}
