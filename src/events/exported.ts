import { sql } from 'kysely'
import { row, type Db } from '../tables/db.js'
import { recordset } from '../tables/recordset.js'
import { now } from '../tables/values.js'
import { singleEvent } from './insert.js'

/** Writes an event for each user whose data leave. */
export async function recordExported (
  db: Db, userIds: readonly string[], { actorId, agent, reason }: { actorId: string, agent: string, reason: string }
): Promise<void> {
  const users = recordset<{ id: string }>(JSON.stringify(userIds.map((id) => ({ id }))), { id: 'text' })
  await row(db, sql`
    with ${now},
    ${singleEvent(db, {
      userId: sql.ref('r.id'), kind: 'exported', sessionId: null, origin: { ip: '', agent }, actorId, detail: reason
    }, sql`${users}, now`)}
    select from now`)
}
