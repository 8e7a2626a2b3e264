import type { QueryCreator } from 'kysely'
import { withSingleEvent } from '../events/insert.js'
import { withEnded, type Ended } from '../sessions/ending.js'
import { withMarkBehind } from '../sessions/marks.js'
import { endedIds } from '../sessions/statements.js'
import type { Db, Tables } from '../tables/db.js'
import { statement, type Facts, type Parameters } from '../tables/statement.js'
import { inTransaction, lockUser } from '../tables/transaction.js'
import { later, withNow, type Now } from '../tables/values.js'
import { released } from './attempts.js'
import type { OtpDeps } from './deps.js'
import { clearedCounts } from './lockout-statements.js'

/** Digest of a set-up code that must come with the password from then on, and its lifetime in seconds. */
export interface Setup { digest: string, seconds: number }

/**
 * The one reset: deletes a user's factors of every kind and the recovery codes, clears the lock, and ends every session, in CTEs
 * beside `now`. The user is locked.
 *
 * @param setup null where the first factor alone is enough afterwards
 */
export function withReset (
  db: QueryCreator<Tables & { now: Now }>, facts: Facts, userId: string, setup: Setup | null
): QueryCreator<Tables & { now: Now } & Ended & { raised: Pick<Tables['otp_user'], 'setup_expires_at'> }> {
  const deleted = db
    .with('raised', (db) => db.updateTable('otp_user as u').from('now')
      .set((eb) => ({
        ...clearedCounts,
        version: eb('u.version', '+', 1),
        ...(setup === null
          ? {}
          : { setup_required: true, setup_digest: setup.digest, setup_expires_at: later(eb.ref('now.at'), setup.seconds) })
      }))
      .where('u.user_id', '=', userId).returning('u.setup_expires_at'))
    .with('devices', (db) => db.deleteFrom('otp_device').where('user_id', '=', userId))
    .with('codes', (db) => db.deleteFrom('otp_recovery_code').where('user_id', '=', userId))
  return withEnded(withMarkBehind(deleted, facts, 'raised', userId), 'raised', userId, 'otp_reset') as never
}

const resetByHost = statement('reset_by_host', (
  db, p: Parameters<{ userId: string, actorId: string, reason: string }>, facts
) => withSingleEvent(withReset(withNow(db), facts, p.userId, null), facts, (db) => db.selectFrom('now'), () => ({
  userId: p.userId, kind: 'otp_reset', sessionId: null, ip: '', agent: '', actorId: p.actorId, detail: p.reason
})).selectFrom('now').select(endedIds))

/** Removes every device and code of a host's user and ends every session. @returns the ids of the sessions */
async function resetUser (db: Db, userId: string, by: { actorId: string, reason: string }): Promise<string[]> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    return (await resetByHost.first(tx, { userId, ...by }))!.endedIds
  })
}

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
