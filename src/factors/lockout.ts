/** Wrong codes in a row without a lock (RFC 4226 §7.3: throttle early). */
export const FREE_FAILURES = 5
export const FIRST_LOCK_SECONDS = 60
export const LONGEST_LOCK_SECONDS = 3600
/** Wrong codes in a row after which only a recovery code or staff helps (NIST SP 800-63B §3.2.2). */
export const HARD_STOP_FAILURES = 100
/**
 * Wrong codes of unverified sessions within `SLOW_STOP_DAYS` that have the same effect. An accepted code or passkey clears none of
 * them, so that guesses between two log-ins of the owner add up. With a window of three steps, 300 guesses succeed with a
 * probability of 1 in 1100.
 */
export const SLOW_STOP_FAILURES = 300
export const SLOW_STOP_DAYS = 30
/** Wrong codes that end a verified session: its own budget, so that other sessions cannot consume it. */
export const SESSION_FAILURES = 5
/** Wrong codes that delete a pending device. They count against nothing else. */
export const PENDING_FAILURES = 10

/** Returns the duration of the lock after so many wrong codes in a row. */
export function lockSeconds (failures: number): number {
  if (failures < FREE_FAILURES) return 0
  return Math.min(FIRST_LOCK_SECONDS * 2 ** (failures - FREE_FAILURES), LONGEST_LOCK_SECONDS)
}

/** Wait for a lock that no time ends: only a recovery code or staff end it. */
export const NEVER_SECONDS = Infinity
