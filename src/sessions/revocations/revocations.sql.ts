import { sql, type RawBuilder } from 'kysely'
import { isWritable, readOnlySettings, serverStart } from '../../tables/primary.js'
import { statement, type Parameters } from '../../tables/statement.js'
import { clock, jsonAs, milliseconds, numberAs } from '../../tables/values.js'
import { endedBefore } from '../marks.js'
import type { Ends } from './revocations.js'

/** More than a busy deployment ends between two readings. A reading of so many takes half a second at most. */
export const MOST_ENDS = 10_000

/** The revocation reading. `since` is the snapshot of the reading before; null for the first one, which names no session. */
export const selectEnds = statement('read_ends', (_db, p: Parameters<{ since: string | null }>, facts) => {
  const { table, schema } = facts
  const place = schema === undefined ? sql.raw('current_schema()') : sql.lit(schema)
  // A range and an order, where "=" would do: with any statistics (all ended at once, none yet), the plan uses the index.
  const endedBetween = (condition: RawBuilder<unknown>) => sql`
    (select user_id, id, ended_at, null::timestamptz as ended_before from ${table.otp_session}
      where ${condition} order by ended_xid limit ${MOST_ENDS + 1})
    union all
    (select user_id, null, null, ended_before from ${table.otp_revocation} where ${condition} order by ended_xid limit ${MOST_ENDS + 1})`
  const listOf = (facts: string, condition: string, name: string) => jsonAs(sql`coalesce((
    select json_agg(json_build_object('userId', user_id, ${sql.raw(facts)})) from named where ${sql.raw(condition)}), '[]'::json)`, name)
  return sql<Omit<Ends, 'tooMany'>>`
    with named as materialized (
      (${endedBetween(sql`
        ended_xid >= pg_snapshot_xmax(${p.since}::text::pg_snapshot) and ended_xid < pg_snapshot_xmax(pg_current_snapshot())`)})
      union all
      select late.* from pg_snapshot_xip(${p.since}::text::pg_snapshot) as open (id),
        lateral (${endedBetween(sql`ended_xid >= open.id and ended_xid <= open.id`)}) as late
      limit ${MOST_ENDS + 1}
    )
    select pg_current_snapshot()::text as snapshot, ${serverStart} as server, ${isWritable},
           (select timeline_id from pg_control_checkpoint()) as timeline, ${readOnlySettings}, ${endedBefore(facts)},
           concat(current_database(), '/', ${place}, '/', session_user) as place,
           ${numberAs(milliseconds(clock), 'nowMs')},
           ${listOf("'sessionId', id, 'isOver', ended_at is not null", 'id is not null', 'named')},
           ${listOf("'endedBefore', extract(epoch from ended_before)", 'id is null', 'marked')}`
})
