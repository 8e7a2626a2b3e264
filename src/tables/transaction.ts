import { sql } from 'kysely'
import { retrying } from '../postgres/retry.js'
import { row, type Db, type Watch } from './db.js'

/** A `Db` inside a transaction. Lock functions require it. */
export interface Tx extends Db { readonly inTransaction: true }

/** Runs `work` in a transaction. After a conflict with another one, repeats it from the start, three times at most. */
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

/** Returns a watch that reports the events of a transaction after its commit, and never if it is rolled back. */
function untilCommit (watch: Watch): Watch & { over (isCommitted: boolean): void } {
  const written: unknown[] = []
  return {
    newId: () => watch.newId(),
    ran: (parameters) => { written.push(...parameters) },
    over: (isCommitted) => watch.ran(written, isCommitted)
  }
}

/**
 * Takes the lock that every change of a user's factors, password or rights takes first. Later statements see every commit from
 * before the lock was granted, also sessions that a login started meanwhile. A single statement that locks and changes would not.
 */
export async function lockUser (tx: Tx, userId: string): Promise<void> {
  await row(tx, sql`
    insert into ${tx.table.otp_user} (user_id) values (${userId})
    on conflict (user_id) do update set user_id = excluded.user_id
    returning version`)
}
