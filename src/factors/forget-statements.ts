import { sql } from 'kysely'
import { markUser } from '../sessions/marks.js'
import { singleEvent } from '../events/insert.js'
import { isUndelivered } from '../events/outbox.js'
import { endedIds, ending } from '../sessions/statements.js'
import { now } from '../tables/values.js'
import { row, type Db } from '../tables/db.js'
import { inTransaction, lockUser } from '../tables/transaction.js'
import { numberAs } from '../tables/values.js'

export interface Forgotten {
  endedIds: string[]
  /** Milliseconds until the mark lies in the past. */
  waitMs: number
}

/**
 * Deletes all data of a host's user, except these rows: the sessions, emptied, since replicas learn of revocations from
 * them and the cleanup keeps their digests; the event of the deletion; events that are still to be notified; and the
 * mark, which refuses sessions with an earlier proof. Times of proofs are whole seconds, so the mark is at the end of
 * the current second.
 */
export async function forgetUser (db: Db, userId: string): Promise<Forgotten> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const { table } = tx
    const found = await row<Forgotten>(tx, sql`
      with ${now},
      ended as (
        update ${table.otp_session} s set ${ending('forgotten')}, ip = '', agent = ''
        from now where s.user_id = ${userId} and s.ended_at is null
        returning s.id
      ),
      emptied as (update ${table.otp_session} s set ip = '', agent = '' where s.user_id = ${userId} and s.ended_at is not null),
      mark as (${markUser(tx, userId)}),
      devices as (delete from ${table.otp_device} d where d.user_id = ${userId}),
      challenges as (delete from ${table.otp_challenge} c where c.user_id = ${userId}),
      codes as (delete from ${table.otp_recovery_code} c where c.user_id = ${userId}),
      budgets as (delete from ${table.otp_password_budget} b where b.user_id = ${userId}),
      events as (delete from ${table.otp_event} e where e.user_id = ${userId} and not ${isUndelivered(tx, sql`e`)}),
      mails as (delete from ${table.otp_delivery} d where d.user_id = ${userId} and d.event_id is null),
      counters as (delete from ${table.otp_event_counter} c where c.user_id = ${userId}),
      state as (delete from ${table.otp_user} u where u.user_id = ${userId}),
      ${singleEvent(tx, {
        userId: sql`${userId}`, kind: 'account_deleted', sessionId: null, origin: { ip: '', agent: '' }
      }, sql`now`)}
      select ${endedIds}, ${numberAs(sql`extract(epoch from mark.ended_before - now.at) * 1000`, 'waitMs')} from mark, now`)
    return found!
  })
}
