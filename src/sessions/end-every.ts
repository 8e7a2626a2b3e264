import type { EventKind } from '../events/kinds.js'
import type { Db } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { clock, currentXid } from '../tables/values.js'

const endEvery = statement('end_every_session', (db, p: Parameters<{ userId: string, reason: string }>) => db
  .updateTable('otp_session').set({ ended_at: clock, ended_xid: currentXid, end_reason: p.reason })
  .where('user_id', '=', p.userId).where('ended_at', 'is', null).returning('id'))

/** Ends every session of a user, whose lock the transaction has. @returns the ids of the ended sessions */
export async function endEverySession (db: Db, userId: string, reason: EventKind): Promise<string[]> {
  return (await endEvery.all(db, { userId, reason })).map(({ id }) => id)
}
