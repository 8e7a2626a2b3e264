import { resetUser } from './reset-statements.js'
import { released } from './attempts.js'
import type { OtpDeps } from './deps.js'

/** Removes the devices and recovery codes of a host's user and ends every session: only the first factor is left. */
export async function resetFactors (
  { db, sessions, locks, rejectedCodes, counters }: OtpDeps,
  userId: string,
  by: { actorId: string, reason: string }
): Promise<void> {
  const endedIds = await resetUser(db, userId, by)
  sessions.ended(userId, endedIds)
  released({ locks, rejectedCodes }, userId)
  counters.count('sessions_ended_total', ['otp_reset'], endedIds.length)
}
