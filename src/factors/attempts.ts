import { FREE_FAILURES, lockSeconds, LONGEST_LOCK_SECONDS, NEVER_SECONDS } from './lockout.js'
import { Refusal } from '../core/refusals.js'
import type { Asking } from '../core/session.js'
import { refuseAttempt, type SpentAttempt } from './attempt-statements.js'
import type { JudgedCodes } from './totp/rejected-codes.js'
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
  asking: Asking,
  spent: SpentAttempt,
  kind: 'otp_refused' | 'recovery_refused' = 'otp_refused'
): Promise<void> {
  const { db, tally } = deps
  const { alive, sessionSpent } = await refuseAttempt(db, asking, spent, kind)
  if (sessionSpent) tally.count('sessions_ended_total', ['spent'])
  if (sessionSpent || !alive) throw sessionEnded(deps, asking)
  if (spent.verified || !isPaid(spent)) return
  if (spent.isLast) {
    lock(deps, asking, NEVER_SECONDS)
    tally.count('stops_total', [])
  } else if (spent.failures >= FREE_FAILURES) {
    lock(deps, asking, lockSeconds(spent.failures))
    tally.count('locks_total', [])
  }
}

/** @param seconds duration of the lock; `NEVER_SECONDS` if no wait ends it */
export function otpLocked (seconds: number): Refusal {
  if (seconds < NEVER_SECONDS) return new Refusal('OTP_LOCKED', { retryAfterSeconds: seconds })
  return new Refusal('OTP_LOCKED', {
    retryAfterSeconds: LONGEST_LOCK_SECONDS,
    needsRecovery: true,
    hint: 'Too many wrong codes: none of an app is accepted any more. Use a recovery code, or ask staff.'
  })
}

/** Returns true if the budget of the user, or of the verified session, had an attempt left; a pending device's does not count. */
export function isPaid ({ devices }: SpentAttempt): boolean {
  return devices.some(({ pending }) => !pending)
}

/** Stores a lock in the process and in Redis, so that further requests cost no statement. */
export function lock ({ locks, judgedCodes, sessions }: OtpDeps, { standing: { userId } }: Asking, seconds: number): void {
  locks.locked(userId, seconds)
  judgedCodes.locked(userId, Math.ceil(sessions.nowSeconds() + seconds))
}

/** Removes a lock that ended early. */
export function freed (
  { locks, judgedCodes }: { locks: Pick<Locks, 'freed'>, judgedCodes: Pick<JudgedCodes, 'freed'> },
  userId: string
): void {
  locks.freed(userId)
  judgedCodes.freed(userId)
}
