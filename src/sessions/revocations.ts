import { sql, type RawBuilder } from 'kysely'
import { isWritable, requireWritable, serverStart, type ServerFacts } from '../tables/primary.js'
import { row, type Db } from '../tables/db.js'
import { jsonAs, numberAs } from '../tables/values.js'

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
  /** `pg_snapshot` in text: which transactions this reading saw. The next one names what they were too late for. */
  snapshot: string
  /** PostgreSQL's clock, Unix milliseconds, after that snapshot was taken. */
  nowMs: number
}

/** More than a busy deployment ends between two readings. A reading takes half a second at most. */
const MOST_ENDS = 10_000

/**
 * The sessions that ended since an earlier reading, by transaction order, not by clock or sequence: those whose transaction
 * the earlier snapshot did not see as finished (its id is from `xmax` on, or stands in the list of open ids), and this one does.
 * Each is named once, however long a transaction stays open, here or in another database of the server. Ids that this server
 * has not come to yet (rows of a dump of another server) are not of this order, and are left out.
 *
 * @param since the snapshot of the reading before; null for the first one, which names nothing
 * @throws {Refusal} UNAVAILABLE if the server takes no writes: what it shows may be older than what was read before
 */
export async function readEnds (db: Db, since: string | null): Promise<Ends> {
  const { table } = db
  // A range and an order, where "=" would do: whatever the statistics say (all ended at once, none yet), the plan is the index.
  const endedBetween = (condition: RawBuilder<unknown>) => sql`
    select user_id, id, ended_at from ${table.otp_session} where ${condition} order by ended_xid limit ${MOST_ENDS + 1}`
  const found = await row<Omit<Ends, 'tooMany'>>(db, sql`
    with named as materialized (
      (${endedBetween(sql`ended_xid >= pg_snapshot_xmax(${since}::text::pg_snapshot) and ended_xid < pg_snapshot_xmax(pg_current_snapshot())`)})
      union all
      select late.* from pg_snapshot_xip(${since}::text::pg_snapshot) as open (id),
        lateral (${endedBetween(sql`ended_xid >= open.id and ended_xid <= open.id`)}) as late
      limit ${MOST_ENDS + 1}
    )
    select pg_current_snapshot()::text as snapshot, ${serverStart} as server, ${isWritable},
           (select timeline_id from pg_control_checkpoint()) as timeline,
           ${numberAs(sql`extract(epoch from clock_timestamp()) * 1000`, 'nowMs')},
           ${jsonAs(sql`coalesce((select json_agg(json_build_object('userId', user_id, 'sessionId', id, 'isOver', ended_at is not null)) from named),
             '[]'::json)`, 'named')}`)
  requireWritable(db, found!.isWritable)
  const { named, ...rest } = found!
  return named.length > MOST_ENDS ? { ...rest, named: [], tooMany: true } : { ...rest, named, tooMany: false }
}
