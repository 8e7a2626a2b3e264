import { withKeptDigest } from './revocations/ended-ids.js'
import { withCount } from './ending.js'
import { withEvent } from '../events/insert.js'
import { endedFor, endedIds, type SessionKey } from './statements.js'
import type { Db } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { inTransaction, lockUser } from '../tables/transaction.js'
import { withNow } from '../tables/values.js'

/** A host ends sessions in its own code, where the address of the client is not known. */
const NOWHERE = { ip: '', agent: '' }

const endOne = statement('end_host_session', (db, p: Parameters<SessionKey>, facts) => {
  const ended = withNow(db).with('ended', (db) => db.updateTable('otp_session as s').from('now').set(endedFor('logged_out'))
    .where('s.user_id', '=', p.userId).where('s.id', '=', p.sessionId).where('s.ended_at', 'is', null).returning('s.id'))
  return withEvent(withKeptDigest(ended, p), facts, (db) => db.selectFrom(['ended', 'now']), () => ({
    userId: p.userId, kind: 'logged_out', sessionId: p.sessionId, ...NOWHERE
  })).selectNoFrom((eb) => eb.exists(eb.selectFrom('ended')).$castTo<boolean>().as('wasAlive'))
})

/**
 * Ends one session of a host's user. The id of a session that was never seen here is stored too, so that the session is refused when it
 * is seen. The user is locked first: a registration at the same moment comes before this, or finds the id.
 *
 * @returns true if the session had not ended before
 */
export async function endHostSession (db: Db, userId: string, sessionId: string): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    return (await endOne.first(tx, { userId, sessionId }))!.wasAlive
  })
}

const endAll = statement('end_host_sessions', (
  db, p: Parameters<{ userId: string, except: string | null, which: string }>, facts
) => withEvent(
  withNow(db).with('ended', (db) => db.updateTable('otp_session as s').from('now').set(endedFor('session_ended'))
    .where('s.user_id', '=', p.userId).where('s.id', 'is distinct from', p.except).where('s.ended_at', 'is', null).returning('s.id')),
  facts, (db) => db.selectFrom('now').where((eb) => eb.exists(eb.selectFrom('ended'))), () => ({
    userId: p.userId, kind: 'session_ended', sessionId: p.except, ...NOWHERE, detail: withCount(p.which)
  })
).selectNoFrom(endedIds))

/**
 * Ends all registered sessions of a host's user except one. The user is locked first: otherwise a session that another request verifies
 * at the same time would stay alive under its new id.
 *
 * @returns the ids of the sessions
 */
export async function endHostSessions (db: Db, userId: string, except: string | null): Promise<string[]> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    return (await endAll.first(tx, { userId, except, which: except === null ? 'all: ' : 'all others: ' }))!.endedIds
  })
}
