import { sql, type RawBuilder } from 'kysely'
import type { SecurityEventNotice } from './notice.js'
import { withoutNull, type Counted } from './log.js'
import { rows, type Db } from '../tables/db.js'
import { now, numberAs } from '../tables/values.js'
import { noticed } from './listener.js'

/** Destination of the deliveries to `WEBHOOK_URL`, and of mails to users. */
export const WEBHOOK = 'webhook'
export const MAIL = 'mail'

/** Returns the destinations of events. */
export function destinationsOf ({ webhookUrl, mailUrl }: { webhookUrl: string | undefined, mailUrl: string | undefined }): string[] {
  return [...(webhookUrl === undefined ? [] : [WEBHOOK]), ...(mailUrl === undefined ? [] : [MAIL])]
}

/** Seconds for which a claim excludes other replicas: longer than sending takes. After a crash another replica claims it then. */
export const CLAIM_SECONDS = 30
/** Deliveries that one statement gives up. */
export const GIVE_UP_ROWS = 500

export interface Claimed extends SecurityEventNotice {
  /** Id of the delivery; `id` is that of the event. */
  deliveryId: string
  /** Number of attempts, this one included. */
  attempts: number
  /** PostgreSQL's clock, Unix seconds. */
  nowSeconds: number
}

/** Condition: the event in the row `event` still waits for a delivery. */
export const isUndelivered = ({ table }: Db, event: RawBuilder<unknown>) => sql`exists (
  select from ${table.otp_delivery} waiting
  where waiting.user_id = ${event}.user_id and waiting.event_at = ${event}.at and waiting.event_id = ${event}.id)`

/** Claims due deliveries for this replica, the longest due first. Two replicas never claim the same one. */
export async function claimDeliveries (db: Db, destination: string, limit: number): Promise<Claimed[]> {
  const { table } = db
  const claimed = await rows<Counted<Claimed>>(db, sql`
    with ${now},
    due as (
      select d.user_id, d.id from ${table.otp_delivery} d, now
      where d.due_at <= now.at and d.destination = ${destination}
        and (d.attempts = 0 or d.expires_at is null or d.expires_at > now.at)
      order by d.due_at limit ${limit} for update of d skip locked
    ),
    claimed as (
      update ${table.otp_delivery} d set attempts = d.attempts + 1, due_at = now.at + make_interval(secs => ${CLAIM_SECONDS})
      from due, now where d.user_id = due.user_id and d.id = due.id
      returning d.user_id, d.event_at, d.event_id, d.id, d.attempts
    )
    select ${noticed}, "deliveryId", attempts, ${numberAs(sql`(select extract(epoch from at) from now)`, 'nowSeconds')}
    from (
      select e.*, d.id as "deliveryId", d.attempts
      from claimed d join ${table.otp_event} e on e.user_id = d.user_id and e.at = d.event_at and e.id = d.event_id
    ) event order by at, id`)
  return claimed.map(withoutNull)
}

/** Result of a claimed delivery: seconds until it is due again; null if it was sent. */
export interface Settled { event: Pick<Claimed, 'userId' | 'deliveryId'>, waitSeconds: number | null }

/** Removes sent deliveries from the outbox, and sets the time at which the others are due again. */
export async function settleDeliveries (db: Db, settled: readonly Settled[]): Promise<void> {
  const { table } = db
  const column = <Value>(of: (one: Settled) => Value) => settled.map(of)
  await rows(db, sql`
    with settled as (
      select * from unnest(
        ${column(({ event }) => event.userId)}::text[], ${column(({ event }) => event.deliveryId)}::uuid[],
        ${column(({ waitSeconds }) => waitSeconds)}::float8[]
      ) settled (user_id, id, seconds)
    ),
    sent as (
      delete from ${table.otp_delivery} d using settled where d.user_id = settled.user_id and d.id = settled.id and settled.seconds is null
    )
    update ${table.otp_delivery} d set due_at = clock_timestamp() + make_interval(secs => settled.seconds)
    from settled where d.user_id = settled.user_id and d.id = settled.id and settled.seconds is not null`)
}

/** Removes deliveries from the outbox that were tried and have expired, `GIVE_UP_ROWS` at most. @returns their number */
export async function giveUpDeliveries (db: Db, destination: string): Promise<number> {
  const { table } = db
  const given = await rows(db, sql`
    delete from ${table.otp_delivery} where (user_id, id) in (
      select user_id, id from ${table.otp_delivery}
      where due_at <= clock_timestamp() and destination = ${destination} and attempts > 0 and expires_at <= clock_timestamp()
      limit ${GIVE_UP_ROWS} for update skip locked
    )
    returning id`)
  return given.length
}
