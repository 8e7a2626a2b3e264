import { sql } from 'kysely'
import type { Requester } from '../../core/session.js'
import { event } from '../../events/insert.js'
import { alive as living } from '../../sessions/marks.js'
import { endedIds, ending } from '../../sessions/statements.js'
import { now } from '../../tables/values.js'
import { row, type Db } from '../../tables/db.js'
import { inTransaction, lockUser } from '../../tables/transaction.js'

/** Records that a recovery code was refused. Returns false if the session had ended: the caller then answers that. */
export async function refuseRecovery (db: Db, requester: Requester): Promise<boolean> {
  const { table } = db
  const { userId, sessionId } = requester.context
  const alive = await row(db, sql`
    with ${now},
    requester as (
      select s.user_id from ${table.otp_session} s, now
      where s.user_id = ${userId} and s.id = ${sessionId} and ${living(db)}
    ),
    ${event(db, { userId: sql`requester.user_id`, kind: 'recovery_refused', sessionId, origin: requester }, sql`requester, now`)}
    select user_id from requester`)
  return alive !== undefined
}

/** Replaces all codes by new ones; the user's other sessions end. Returns null if the session or the last device is gone. */
export async function replaceRecoveryCodes (db: Db, requester: Requester, digests: string[]): Promise<{ endedIds: string[] } | null> {
  const { userId, sessionId } = requester.context
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const { table } = tx
    const raised = await row<{ endedIds: string[] }>(tx, sql`
      with ${now},
      raised as (
        update ${table.otp_user} u set version = u.version + 1
        from now
        where u.user_id = ${userId}
          and exists (select from ${table.otp_device} d where d.user_id = u.user_id and d.confirmed_at is not null)
          and exists (
            select from ${table.otp_session} s
            where s.user_id = u.user_id and s.id = ${sessionId} and ${living(tx)}
          )
        returning u.user_id
      ),
      dropped as (
        delete from ${table.otp_recovery_code} c using raised where c.user_id = raised.user_id and c.pending_device_id is null
      ),
      ended as (
        update ${table.otp_session} s set ${ending('recovery_regenerated')}
        from raised, now where s.user_id = raised.user_id and s.id <> ${sessionId} and s.ended_at is null
        returning s.id
      ),
      ${event(tx, { userId: sql`raised.user_id`, kind: 'recovery_regenerated', sessionId, origin: requester }, sql`raised, now`)}
      select ${endedIds} from raised`)
    if (raised === undefined) return null
    await row(tx, sql`
      insert into ${table.otp_recovery_code} (user_id, digest, created_at)
      select ${userId}, digest, clock_timestamp() from unnest(${digests}::text[]) digest`)
    return raised
  })
}
