import { resetUser } from './reset-statements.js'
import { freed } from './attempts.js'
import type { OtpDeps } from './deps.js'

/** Takes away a host's user's devices and recovery codes, and ends every session: the first factor is all there is. */
export async function resetFactors ({ db, sessions, locks, judgedCodes, tally }: OtpDeps, userId: string, by: { actorId: string, reason: string }): Promise<void> {
  const endedIds = await resetUser(db, userId, by)
  sessions.ended(userId, endedIds)
  freed({ locks, judgedCodes }, userId)
  tally.count('sessions_ended_total', ['otp_reset'], endedIds.length)
}
