import { sql, type RawBuilder } from 'kysely'
import { mailedKinds } from './mail/kinds.js'
import type { EventKind } from './kinds.js'
import type { Origin } from '../core/session.js'
import { rows, type Db } from '../tables/db.js'
import { now } from '../tables/values.js'

export interface EventValues {
  userId: RawBuilder<unknown>
  kind: EventKind | RawBuilder<unknown>
  sessionId: string | null
  origin: Origin
  deviceName?: RawBuilder<unknown>
  /** Id of the actor, if it is not the user. */
  actorId?: string
  detail?: string | RawBuilder<unknown>
}

/** Most events of one kind that a user causes in an hour as lines of their own; then one line counts the others. */
const EVENTS_AN_HOUR = 60
/** Age after which a delivery is not tried again; each one is tried once at any age. */
const DELIVERY_SECONDS = 24 * 3600
const MAIL_DELIVERY_SECONDS = 72 * 3600

/** The columns of an event, in the order in which `eventValues` gives them. */
const columns = sql`user_id, at, id, kind, session_id, ip, agent, device_name, actor_id, detail`

function eventValues (db: Db, { userId, kind, sessionId, origin, deviceName = sql`null`, actorId, detail }: EventValues) {
  const id = db.watch === null ? sql`gen_random_uuid()` : sql`${db.watch.newId()}::uuid`
  return sql`
    ${userId}::text, now.at, ${id}, ${kind}::text, ${sessionId}::text, ${origin.ip}::text, ${origin.agent}::text, ${deviceName}::text,
    ${actorId ?? null}::text, ${detail ?? null}::text`
}

/** Condition on an event `e` and a `destination`: only some kinds are mailed, and only to an address that is verified and takes mail. */
const isDestined = (table: Db['table']) => sql`(destination <> 'mail' or (e.kind = any(${mailedKinds}::text[]) and exists (
  select from ${table.account} a
  where a.id = e.user_id::uuid and a.email_verified_at is not null and a.email_stopped_at is null)))`

/**
 * The one insert of events: CTEs beside `now`. An event and its deliveries, one for each destination, belong to the transaction of
 * the decision. A line that counts events is delivered once.
 *
 * @param lines rows with `columns` and `count`
 */
function written ({ table, destinations, hasAccounts }: Db, lines: RawBuilder<unknown>, name: string): RawBuilder<unknown> {
  const event = sql.ref(name)
  const stored = sql`
    ${event} as (
      insert into ${table.otp_event} as e (${columns}, count) ${lines}
      on conflict (user_id, at, id) do update set count = e.count + 1
      returning e.user_id, e.at, e.id, e.kind, e.count
    )`
  if (destinations.length === 0) return stored
  return sql`${stored},
    ${sql.ref(`${name}_deliveries`)} as (
      insert into ${table.otp_delivery} (user_id, id, event_at, event_id, destination, due_at, expires_at, created_at)
      select e.user_id, gen_random_uuid(), e.at, e.id, destination, now.at,
        e.at + make_interval(secs => case destination when 'mail' then ${MAIL_DELIVERY_SECONDS}::int else ${DELIVERY_SECONDS}::int end),
        now.at
      from ${event} e, now, unnest(${destinations}::text[]) destination
      where coalesce(e.count, 1) = 1 and ${hasAccounts ? isDestined(table) : sql`true`}
    )`
}

/**
 * Writes events that stay lines of their own: acts of staff and of the command line, sign-up, deletion, import. CTEs beside `now`.
 *
 * @param from relations of the decision, `now` among them, and their condition: one event for each row
 * @param name name of the CTE, for a statement that writes two events
 */
export function singleEvent (db: Db, values: EventValues, from: RawBuilder<unknown>, name = 'event'): RawBuilder<unknown> {
  return written(db, sql`select ${eventValues(db, values)}, null::integer from ${from}`, name)
}

/** Writes one such event by itself, at the end of a transaction that decided in several statements. */
export async function writeEvent (db: Db, { userId, ...values }: Omit<EventValues, 'userId'> & { userId: string }): Promise<void> {
  await rows(db, sql`with ${now}, ${singleEvent(db, { ...values, userId: sql`${userId}` }, sql`now`)} select`)
}

/**
 * Writes an event that the user caused, in the decision's own statement: CTEs beside `now`, from a relation of at most
 * one row. After `EVENTS_AN_HOUR` of a kind no row is added: the count of one line rises, and that line is notified once.
 *
 * The first event of a kind within an hour costs one look-up. From the second on, a row per user and kind numbers them,
 * which is exact for concurrent statements.
 *
 * @param from relations of the decision, `now` among them, and their condition
 * @param name name of the CTE, for a statement that writes two events
 */
export function event (db: Db, values: EventValues, from: RawBuilder<unknown>, name = 'event'): RawBuilder<unknown> {
  const { table } = db
  const [made, numbered] = [sql.ref(`${name}_made`), sql.ref(`${name}_numbered`)]
  const isOver = sql`c.since <= excluded.since - interval '1 hour'`
  const number = sql`case when ${isOver} then excluded.events else greatest(c.events + 1, excluded.events) end`
  const begins = sql`(${isOver} or c.line_at is null)`
  const lines = sql`
    select user_id, coalesce(line_at, at), case when line_at is null then id else line_id end, kind, session_id, ip, agent,
      device_name, actor_id, detail, case when line_at is not null then 1 end
    from ${made} left join ${numbered} on true`
  return sql`
    ${made} (${columns}) as (select ${eventValues(db, values)} from ${from}),
    ${numbered} as (
      insert into ${table.otp_event_counter} as c (user_id, kind, since, events, line_at, line_id)
      select made.user_id, made.kind, made.at, recent.events + 1,
        case when recent.events >= ${EVENTS_AN_HOUR}::int then made.at end, made.id
      from ${made} made, lateral (
        select count(*)::int as events from (
          select from ${table.otp_event} e
          where e.user_id = made.user_id and e.at > made.at - interval '1 hour' and e.kind = made.kind limit ${EVENTS_AN_HOUR}::int
        ) few
      ) recent
      where recent.events > 0
      on conflict (user_id, kind) do update set
        events = ${number},
        since = case when ${isOver} then excluded.since else c.since end,
        line_at = case when not ${begins} then c.line_at when ${number} > ${EVENTS_AN_HOUR}::int then excluded.since end,
        line_id = case when ${begins} then excluded.line_id else c.line_id end
      returning c.line_at, c.line_id
    ),
    ${written(db, lines, name)}`
}
