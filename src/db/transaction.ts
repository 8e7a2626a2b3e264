import { sql } from 'kysely'
import { retrying } from './retry.js'
import { row, type Db } from './tables.js'

/** A `Db` inside a transaction: what a lock function takes. */
export interface Tx extends Db { readonly inTransaction: true }

/** Runs `work` in a transaction, again from the start (three times at most) if another one got in its way. */
export async function inTransaction<T> (db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  return await retrying(() => db.kysely.transaction().execute((kysely) => work({ kysely, table: db.table, inTransaction: true })))
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
