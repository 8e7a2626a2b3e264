import { sql } from 'kysely'
import type { SecurityEventNotice } from './notice.js'
import { withoutNull, type Counted } from './log.js'
import { rows, type Db } from '../tables/db.js'
import { numberAs } from '../tables/values.js'
import { noticed } from './listener.js'

/** Seconds for which a claim excludes other replicas: longer than sending takes. After a crash another replica claims the event then. */
const CLAIM_SECONDS = 30
/** Age after which an event is not tried again; each event is tried once at any age. */
const KEEP_SECONDS = 24 * 3600
const GIVE_UP_ROWS = 500

export interface Claimed extends SecurityEventNotice {
  /** `at` in Unix microseconds, as PostgreSQL stores it and a `Date` does not: it is part of the row's key. */
  exactMicros: string
  /** Number of attempts, this one included. */
  attempts: number
  /** PostgreSQL's clock, Unix seconds. */
  nowSeconds: number
}

/** Claims due events from the outbox for this replica, the longest due first. Two replicas never claim the same event. */
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
      update ${table.otp_event} e set
        notify_attempts = e.notify_attempts + 1, notify_after = now.at + make_interval(secs => ${CLAIM_SECONDS})
      from due, now where e.user_id = due.user_id and e.at = due.at and e.id = due.id
      returning e.*
    )
    select ${noticed}, (extract(epoch from at) * 1000000)::bigint::text as "exactMicros", notify_attempts as attempts,
      ${numberAs(sql`(select extract(epoch from at) from now)`, 'nowSeconds')} from claimed order by at, id`)
  return claimed.map(withoutNull)
}

/** Result of a claimed event: seconds until it is due again; null if it was sent. */
export interface Settled { event: Claimed, waitSeconds: number | null }

/** Removes sent events from the outbox, and sets the time at which the others are due again. */
export async function settleEvents (db: Db, settled: readonly Settled[]): Promise<void> {
  const { table } = db
  const column = <Value>(of: (one: Settled) => Value) => settled.map(of)
  await rows(db, sql`
    update ${table.otp_event} e set notify_after = clock_timestamp() + make_interval(secs => settled.seconds)
    from unnest(
      ${column(({ event }) => event.userId)}::text[], ${column(({ event }) => event.exactMicros)}::bigint[],
      ${column(({ event }) => event.id)}::uuid[], ${column(({ waitSeconds }) => waitSeconds)}::float8[]
    ) settled (user_id, micros, id, seconds)
    where e.user_id = settled.user_id and e.at = timestamptz 'epoch' + settled.micros * interval '1 microsecond'
      and e.id = settled.id and e.notify_after is not null`)
}

/** Removes events from the outbox that could not be delivered within `KEEP_SECONDS`. @returns their number */
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
