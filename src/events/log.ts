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
  /** Id of the actor, if it is not the user. Staff see the id; the owner sees only that it was staff. */
  actorId: string | null
  detail: string | null
  /** Number of events that a line counts: those of its kind after the sixtieth within an hour. */
  count?: number
}

/** Event as its row has it. */
export type Counted<Event> = Omit<Event, 'count'> & { count: number | null }

/** Removes `count` where it is null: only a line that counts events has it. */
export function withoutNull<Event extends { count: number | null }> ({ count, ...event }: Event) {
  return count === null ? event : { ...event, count }
}

export interface EventPage {
  events: SecurityEvent[]
  /** Cursor of the next page; null on the last one. */
  nextCursor: string | null
}

/** Place in a user's log: Unix microseconds, as PostgreSQL stores them and a `Date` does not, and the event's id. */
const CURSOR = /^(\d{1,16})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/

/**
 * Returns one page of a user's log, the newest event first. Events that happen during paging come before the first page and
 * do not shift the pages.
 *
 * @param cursor cursor from the page before, null for the first page
 * @returns null if the cursor is not valid
 */
export async function readEvents (db: Db, userId: string, limit: number, cursor: string | null): Promise<EventPage | null> {
  const { table } = db
  const [, micros = null, id = null] = cursor === null ? [] : CURSOR.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  if (cursor !== null && id === null) return null
  const found = await rows<Counted<SecurityEvent> & { micros: string }>(db, sql`
    select id, kind, ${timeAs(sql`at`, 'at')}, ip, agent, session_id as "sessionId", device_name as "deviceName",
      actor_id as "actorId", detail, count,
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
