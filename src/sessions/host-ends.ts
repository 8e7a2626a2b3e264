import { sql } from 'kysely'
import { keptDigest } from './ended-ids.js'
import { event } from '../events/insert.js'
import { endedIds, ending } from './statements.js'
import { row, type Db } from '../tables/db.js'
import { inTransaction, lockUser } from '../tables/transaction.js'
import { now } from '../tables/values.js'

/** A host ends sessions in its own code, where the address of the client is not known. */
const NOWHERE = { ip: '', agent: '' }

/**
 * Ends one session of a host's user. The id of a session that was never seen here is stored too, so that the session is refused when it
 * is seen. The user is locked first: a registration at the same moment comes before this, or finds the id.
 *
 * @returns the id, if the session was alive
 */
export async function endHostSession (db: Db, userId: string, sessionId: string): Promise<string[]> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const { table } = tx
    const found = await row<{ endedIds: string[] }>(tx, sql`
      with ${now},
      ended as (
        update ${table.otp_session} s set ${ending('logged_out')} from now
        where s.user_id = ${userId} and s.id = ${sessionId} and s.ended_at is null
        returning s.id
      ),
      kept as (${keptDigest(tx, userId, sessionId)}),
      ${event(tx, { userId: sql`${userId}`, kind: 'logged_out', sessionId, origin: NOWHERE }, sql`ended, now`)}
      select ${endedIds}`)
    return found!.endedIds
  })
}

/**
 * Ends all registered sessions of a host's user except one. The user is locked first: otherwise a session that another request verifies
 * at the same time would stay alive under its new id.
 *
 * @returns the ids of the sessions
 */
export async function endHostSessions (db: Db, userId: string, except: string | null): Promise<string[]> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const { table } = tx
    const found = await row<{ endedIds: string[] }>(tx, sql`
      with ${now},
      ended as (
        update ${table.otp_session} s set ${ending('session_ended')} from now
        where s.user_id = ${userId} and s.id is distinct from ${except} and s.ended_at is null
        returning s.id
      ),
      ${event(tx, {
        userId: sql`${userId}`,
        kind: 'session_ended',
        sessionId: except,
        origin: NOWHERE,
        detail: sql`${except === null ? 'all: ' : 'all others: '}::text || (select count(*) from ended)`
      }, sql`now where exists (select from ended)`)}
      select ${endedIds}`)
    return found!.endedIds
  })
}
