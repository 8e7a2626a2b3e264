import { resetUser } from './reset-statements.js'
import { freed } from './attempts.js'
import type { OtpDeps } from './deps.js'

/** Removes the devices and recovery codes of a host's user and ends every session: only the first factor is left. */
export async function resetFactors (
  { db, sessions, locks, judgedCodes, tally }: OtpDeps,
  userId: string,
  by: { actorId: string, reason: string }
): Promise<void> {
  const endedIds = await resetUser(db, userId, by)
  sessions.ended(userId, endedIds)
  freed({ locks, judgedCodes }, userId)
  tally.count('sessions_ended_total', ['otp_reset'], endedIds.length)
}
