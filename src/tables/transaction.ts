import { sql } from 'kysely'
import { retrying } from '../postgres/retry.js'
import { row, type Db, type Watch } from './db.js'

/** A `Db` inside a transaction: what a lock function takes. */
export interface Tx extends Db { readonly inTransaction: true }

/** Runs `work` in a transaction, again from the start (three times at most) if another one got in its way. */
export async function inTransaction<T> (db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  return await retrying(async () => {
    const watch = db.watch === null ? null : untilCommit(db.watch)
    try {
      const result = await db.kysely.transaction().execute((kysely) => work({ ...db, kysely, watch, inTransaction: true }))
      watch?.over(true)
      return result
    } catch (error) {
      watch?.over(false)
      throw error
    }
  })
}

/** What was written within a transaction is told of when that is committed, and never if it is not. */
function untilCommit (watch: Watch): Watch & { over (isCommitted: boolean): void } {
  const written: unknown[] = []
  return {
    newId: () => watch.newId(),
    ran: (parameters) => { written.push(...parameters) },
    over: (isCommitted) => watch.ran(written, isCommitted)
  }
}

/**
 * Takes the lock that every change of a user's factors, password or standing takes first. The statements after it
 * see all that was committed before the lock was had, sessions that a login started meanwhile included; one
 * statement that locked and changed at once would not.
 */
export async function lockUser (tx: Tx, userId: string): Promise<void> {
  await row(tx, sql`
    insert into ${tx.table.otp_user} (user_id) values (${userId})
    on conflict (user_id) do update set user_id = excluded.user_id
    returning version`)
}
