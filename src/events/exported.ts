import type { Db } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { unnested, withNow } from '../tables/values.js'
import { withSingleEvent } from './insert.js'

interface Export { userIds: readonly string[], actorId: string, agent: string, reason: string }

const insertExported = statement('write_exported', (db, p: Parameters<Export>, facts) => withSingleEvent(
  withNow(db), facts, (db) => db.selectFrom([unnested('r', { id: ['text', p.userIds] }), 'now']), (eb) => ({
    userId: eb.ref('r.id'), kind: 'exported', sessionId: null, ip: '', agent: p.agent, actorId: p.actorId, detail: p.reason
  })).selectFrom('now'))

/** Writes an event for each user whose data leave. */
export async function recordExported (db: Db, userIds: readonly string[], by: Omit<Export, 'userIds'>): Promise<void> {
  await insertExported.all(db, { userIds, ...by })
}
