import { sql } from 'kysely'
import type { EventKind } from './kinds.js'
import { rows, type Db } from '../tables/db.js'
import { timeAs } from '../tables/values.js'

export interface SecurityEvent {
  id: string
  kind: EventKind
  at: Date
  ip: string
  agent: string
  sessionId: string | null
  deviceName: string | null
  /** Who did it, if not the user. Staff see it, the owner sees that it was staff. */
  actorId: string | null
  detail: string | null
  /** In a line that counts the events of its kind past the sixtieth within an hour: how many it stands for. */
  count?: number
}

/** An event as its row has it. */
export type Counted<Event> = Omit<Event, 'count'> & { count: number | null }

/** A line that counts has its count, any other has none. */
export function withoutNull<Event extends { count: number | null }> ({ count, ...event }: Event) {
  return count === null ? event : { ...event, count }
}

export interface EventPage {
  events: SecurityEvent[]
  /** Where the next page begins; null if this was the last. */
  nextCursor: string | null
}

/** A place in a user's log: Unix microseconds, as Postgres keeps them and a `Date` does not, and the event's id. */
const CURSOR = /^(\d{1,16})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/

/**
 * One page of a user's log, the newest first. What happens while somebody leafs through it comes before the first page
 * and moves nothing.
 *
 * @param cursor of the page before, null for the first
 * @returns null if the cursor is none of ours
 */
export async function readEvents (db: Db, userId: string, limit: number, cursor: string | null): Promise<EventPage | null> {
  const { table } = db
  const [, micros = null, id = null] = cursor === null ? [] : CURSOR.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  if (cursor !== null && id === null) return null
  const found = await rows<Counted<SecurityEvent> & { micros: string }>(db, sql`
    select id, kind, ${timeAs(sql`at`, 'at')}, ip, agent, session_id as "sessionId", device_name as "deviceName", actor_id as "actorId", detail, count,
      (extract(epoch from at) * 1000000)::bigint::text as micros
    from ${table.otp_event}
    where user_id = ${userId}
      ${id === null ? sql`` : sql`and (at, id) < (timestamptz 'epoch' + ${micros}::bigint * interval '1 microsecond', ${id}::uuid)`}
    order by at desc, id desc limit ${limit + 1}`)
  const last = found.length > limit ? found[limit - 1] : undefined
  return {
    events: found.slice(0, limit).map(({ micros, ...event }) => withoutNull(event)),
    nextCursor: last === undefined ? null : Buffer.from(`${last.micros}.${last.id}`).toString('base64url')
  }
}
