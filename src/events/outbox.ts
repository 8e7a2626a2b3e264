import { sql } from 'kysely'
import type { SecurityEventNotice } from './notice.js'
import { withoutNull, type Counted } from './log.js'
import { rows, type Db } from '../tables/db.js'
import { numberAs } from '../tables/values.js'
import { noticed } from './listener.js'

/** How long a claimed event is nobody else's: longer than it takes to send one. Whoever dies with it loses it to the others then. */
const CLAIM_SECONDS = 30
/** How old an event may be when it is tried again; each is tried once, however old. */
const KEEP_SECONDS = 24 * 3600
const GIVE_UP_ROWS = 500

export interface Claimed extends SecurityEventNotice {
  /** `at` in Unix microseconds, as PostgreSQL keeps it and a `Date` does not: the row is found by it. */
  exactMicros: string
  /** This one included. */
  attempts: number
  /** Postgres' clock, Unix seconds. */
  nowSeconds: number
}

/** Takes events that are due out of the outbox, the longest due first, for this replica to send; no two replicas take the same. */
export async function claimEvents (db: Db, limit: number): Promise<Claimed[]> {
  const { table } = db
  const claimed = await rows<Counted<Claimed>>(db, sql`
    with now as materialized (select clock_timestamp() as at),
    due as (
      select e.user_id, e.at, e.id from ${table.otp_event} e, now
      where e.notify_after <= now.at and (e.notify_attempts = 0 or e.at > now.at - make_interval(secs => ${KEEP_SECONDS}))
      order by e.notify_after limit ${limit} for update of e skip locked
    ),
    claimed as (
      update ${table.otp_event} e set notify_attempts = e.notify_attempts + 1, notify_after = now.at + make_interval(secs => ${CLAIM_SECONDS})
      from due, now where e.user_id = due.user_id and e.at = due.at and e.id = due.id
      returning e.*
    )
    select ${noticed}, (extract(epoch from at) * 1000000)::bigint::text as "exactMicros", notify_attempts as attempts, 
      ${numberAs(sql`(select extract(epoch from at) from now)`, 'nowSeconds')} from claimed order by at, id`)
  return claimed.map(withoutNull)
}

/** What became of an event that was claimed: after how many seconds it is due again; null if it was sent. */
export interface Settled { event: Claimed, waitSeconds: number | null }

/** Sent ones leave the outbox, the others are due again after a while. */
export async function settleEvents (db: Db, settled: readonly Settled[]): Promise<void> {
  const { table } = db
  const column = <Value>(of: (one: Settled) => Value) => settled.map(of)
  await rows(db, sql`
    update ${table.otp_event} e set notify_after = clock_timestamp() + make_interval(secs => settled.seconds)
    from unnest(
      ${column(({ event }) => event.userId)}::text[], ${column(({ event }) => event.exactMicros)}::bigint[],
      ${column(({ event }) => event.id)}::uuid[], ${column(({ waitSeconds }) => waitSeconds)}::float8[]
    ) settled (user_id, micros, id, seconds)
    where e.user_id = settled.user_id and e.at = timestamptz 'epoch' + settled.micros * interval '1 microsecond' and e.id = settled.id and e.notify_after is not null`)
}

/** Takes events out of the outbox that nobody could be told of in all that time. @returns how many */
export async function giveUpEvents (db: Db): Promise<number> {
  const { table } = db
  const given = await rows(db, sql`
    update ${table.otp_event} e set notify_after = null
    where (e.user_id, e.at, e.id) in (
      select user_id, at, id from ${table.otp_event}
      where notify_after <= clock_timestamp() and notify_attempts > 0 and at <= clock_timestamp() - make_interval(secs => ${KEEP_SECONDS})
      limit ${GIVE_UP_ROWS} for update skip locked
    )
    returning e.id`)
  return given.length
}
