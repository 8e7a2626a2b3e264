import { sql } from 'kysely'
import { row, type Db } from './tables.js'

/** A reading of the feed of ends. */
export interface Ends {
  ended: ReadonlyArray<{ userId: string, sessionId: string }>
  /** Where the next reading starts: every transaction before this one had finished when this was read. */
  cursor: string
  /** Postgres' clock, Unix milliseconds. */
  nowMs: number
}

/**
 * The sessions that ended since an earlier reading, by transaction order, not by clock or sequence: a transaction
 * that was not visible at the earlier snapshot has an id of at least that snapshot's xmin, whenever it commits.
 * What was under way then may be named twice, which does no harm; none is ever missed.
 *
 * @param cursor null for the first reading, which names nothing: what is cached before it is not trusted anyway
 */
export async function readEnds (db: Db, cursor: string | null): Promise<Ends> {
  const { table } = db
  const found = await row<Ends>(db, sql`
    select pg_snapshot_xmin(pg_current_snapshot())::text as cursor,
           (extract(epoch from clock_timestamp()) * 1000)::float8 as "nowMs",
           coalesce((
             select json_agg(json_build_object('userId', user_id, 'sessionId', id))
             from ${table.otp_session}
             where ended_xid >= ${cursor}::text::xid8
           ), '[]'::json) as ended`)
  return found!
}
