import { sql } from 'kysely'
import { isWritable, requireWritable, serverStart, type ServerFacts } from './primary.js'
import { row, type Db } from './tables.js'
import { jsonAs, numberAs } from './values.js'

export interface NamedSession {
  userId: string
  sessionId: string
  /** False for one that lives on and has proven something else since (a host's, that cannot move). */
  isOver: boolean
}

/** A reading of the feed of ends. */
export interface Ends extends ServerFacts {
  named: readonly NamedSession[]
  /** True if there were more than one reading names: then it names none, and what was read before is to be forgotten. */
  tooMany: boolean
  /** The server's history. A promotion begins another one, a point-in-time recovery too. */
  timeline: number
  /** Where the next reading starts: every transaction before this one had finished when this was read. */
  cursor: string
  /** Postgres' clock, Unix milliseconds. */
  nowMs: number
}

/** More than a busy deployment ends between two readings: only somebody's very long transaction, or a very long absence, has more. */
const MOST_ENDS = 10_000

/**
 * The sessions that ended since an earlier reading, by transaction order, not by clock or sequence: a transaction
 * that was not visible at the earlier snapshot has an id of at least that snapshot's xmin, whenever it commits.
 * What was under way then may be named twice, which does no harm; none is ever missed. What this server's transactions
 * have not come to yet (rows of a dump of another server) is not of this order, and is left out.
 *
 * @param cursor null for the first reading, which names nothing: what is cached before it is not trusted anyway
 * @throws {Refusal} UNAVAILABLE if the server takes no writes: what it shows may be older than what was read before
 */
export async function readEnds (db: Db, cursor: string | null): Promise<Ends> {
  const { table } = db
  const found = await row<Omit<Ends, 'tooMany'>>(db, sql`
    with named as materialized (
      select user_id, id, ended_at from ${table.otp_session}
      where ended_xid >= ${cursor}::text::xid8 and ended_xid < pg_snapshot_xmax(pg_current_snapshot())
      limit ${MOST_ENDS + 1}
    )
    select pg_snapshot_xmin(pg_current_snapshot())::text as cursor,
           ${serverStart} as server, ${isWritable}, (select timeline_id from pg_control_checkpoint()) as timeline,
           ${numberAs(sql`extract(epoch from clock_timestamp()) * 1000`, 'nowMs')},
           ${jsonAs(sql`coalesce((select json_agg(json_build_object('userId', user_id, 'sessionId', id, 'isOver', ended_at is not null)) from named),
             '[]'::json)`, 'named')}`)
  requireWritable(db, found!.isWritable)
  const { named, ...rest } = found!
  return named.length > MOST_ENDS ? { ...rest, named: [], tooMany: true } : { ...rest, named, tooMany: false }
}
