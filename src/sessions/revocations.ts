import { sql, type RawBuilder } from 'kysely'
import { isWritable, readOnlySettings, requireWritable, serverStart, type ServerFacts } from '../tables/primary.js'
import { row, type Db } from '../tables/db.js'
import { jsonAs, numberAs } from '../tables/values.js'

export interface NamedSession {
  userId: string
  sessionId: string
  /** False for a session of a host that lives and has a new proof under its own id. */
  isOver: boolean
}

/** Revocation reading. */
export interface Ends extends ServerFacts {
  named: readonly NamedSession[]
  /** True if there were more revocations than one reading names: then it names none, and all earlier readings must be dropped. */
  tooMany: boolean
  /** History of the server. A promotion or a point-in-time recovery begins a new one. */
  timeline: number
  /** `pg_snapshot` as text: the transactions that this reading saw. The next one names transactions that finished later. */
  snapshot: string
  /** Settings of the role and the database about writes. A change holds for connections made after it. */
  readOnlySettings: string
  /** PostgreSQL's clock, Unix milliseconds, read after that snapshot was taken. */
  nowMs: number
}

/** More than a busy deployment ends between two readings. A reading of so many takes half a second at most. */
const MOST_ENDS = 10_000

/**
 * Returns the sessions that ended since an earlier reading, by the order of transactions, not by clock or sequence: the
 * earlier snapshot did not see the transaction as finished (its id is `xmax` or higher, or in the list of open ids), and
 * this one does. Each session is named once, even if a transaction stays open for long, in this or another database of the
 * server. Ids that this server has not reached yet (rows from a dump of another server) have no place in this order and are
 * left out.
 *
 * @param since snapshot of the reading before; null for the first one, which names no session
 * @throws {Refusal} UNAVAILABLE if the server takes no writes: its state may be older than that of an earlier reading
 */
export async function readEnds (db: Db, since: string | null): Promise<Ends> {
  const { table } = db
  // A range and an order, where "=" would do: with any statistics (all ended at once, none yet), the plan uses the index.
  const endedBetween = (condition: RawBuilder<unknown>) => sql`
    select user_id, id, ended_at from ${table.otp_session} where ${condition} order by ended_xid limit ${MOST_ENDS + 1}`
  const found = await row<Omit<Ends, 'tooMany'>>(db, sql`
    with named as materialized (
      (${endedBetween(sql`
        ended_xid >= pg_snapshot_xmax(${since}::text::pg_snapshot) and ended_xid < pg_snapshot_xmax(pg_current_snapshot())`)})
      union all
      select late.* from pg_snapshot_xip(${since}::text::pg_snapshot) as open (id),
        lateral (${endedBetween(sql`ended_xid >= open.id and ended_xid <= open.id`)}) as late
      limit ${MOST_ENDS + 1}
    )
    select pg_current_snapshot()::text as snapshot, ${serverStart} as server, ${isWritable},
           (select timeline_id from pg_control_checkpoint()) as timeline, ${readOnlySettings},
           ${numberAs(sql`extract(epoch from clock_timestamp()) * 1000`, 'nowMs')},
           ${jsonAs(sql`coalesce((select json_agg(json_build_object('userId', user_id, 'sessionId', id,
             'isOver', ended_at is not null)) from named), '[]'::json)`, 'named')}`)
  requireWritable(db, found!.isWritable)
  const { named, ...rest } = found!
  return named.length > MOST_ENDS ? { ...rest, named: [], tooMany: true } : { ...rest, named, tooMany: false }
}
