import { sql } from 'kysely'
import { countsCleared } from './lockout-statements.js'
import { singleEvent } from '../events/insert.js'
import { endedIds, ending } from '../sessions/statements.js'
import { now } from '../tables/values.js'
import { row, type Db } from '../tables/db.js'
import { inTransaction, lockUser } from '../tables/transaction.js'

/** Removes every device and code of a host's user and ends every session. @returns the ids of the sessions */
export async function resetUser (db: Db, userId: string, { actorId, reason }: { actorId: string, reason: string }): Promise<string[]> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const { table } = tx
    const found = await row<{ endedIds: string[] }>(tx, sql`
      with ${now},
      raised as (
        update ${table.otp_user} u set version = u.version + 1, ${countsCleared} where u.user_id = ${userId}
      ),
      devices as (delete from ${table.otp_device} d where d.user_id = ${userId}),
      codes as (delete from ${table.otp_recovery_code} c where c.user_id = ${userId}),
      ended as (
        update ${table.otp_session} s set ${ending('otp_reset')} from now where s.user_id = ${userId} and s.ended_at is null
        returning s.id
      ),
      ${singleEvent(tx, {
        userId: sql`${userId}`, kind: 'otp_reset', sessionId: null, origin: { ip: '', agent: '' }, actorId, detail: reason
      }, sql`now`)}
      select ${endedIds}`)
    return found!.endedIds
  })
}
