import { retrying } from '../postgres/retry.js'
import type { Db, Watch } from './db.js'
import { statement, type Parameters } from './statement.js'

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

const lockOne = statement('lock_user', (db, p: Parameters<{ userId: string }>) => db.insertInto('otp_user').values({ user_id: p.userId })
  .onConflict((oc) => oc.column('user_id').doUpdateSet((eb) => ({ user_id: eb.ref('excluded.user_id') }))).returning('version'))

/**
 * Takes the lock that every change of a user's factors, password or rights takes first. Later statements see every commit from
 * before the lock was granted, also sessions that a login started meanwhile. A single statement that locks and changes would not.
 */
export async function lockUser (tx: Tx, userId: string): Promise<void> {
  await lockOne.first(tx, { userId })
}

/** Locks existing users, in one order. A user without a row stays without one. */
export const lockUsers = statement('lock_users', (db, p: Parameters<{ userIds: string[] }>) => db.selectFrom('otp_user').select('user_id')
  .where('user_id', '=', (eb) => eb.fn.any(eb.val(p.userIds))).orderBy('user_id').forNoKeyUpdate())
