import { setTimeout as delay } from 'node:timers/promises'
import { forgetUser } from './forget-statements.js'
import { released } from './attempts.js'
import type { OtpDeps } from './deps.js'

/**
 * Deletes all data of a host's user, whose account the host has deleted and whose id may be given to another user. Resolves
 * when the second of the deletion is over, so that the next user's first proof is dated after it.
 *
 * @param onEnded called after the commit
 */
export async function forget (
  { db, sessions, locks, rejectedCodes, counters }: OtpDeps,
  userId: string,
  onEnded: () => void
): Promise<void> {
  const { endedIds, waitMs } = await forgetUser(db, userId)
  sessions.ended(userId, endedIds)
  released({ locks, rejectedCodes }, userId)
  counters.count('sessions_ended_total', ['account_deleted'], endedIds.length)
  onEnded()
  await delay(Math.ceil(waitMs) + 1)
}
