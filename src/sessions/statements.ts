import { sql, type RawBuilder } from 'kysely'
import type { EventKind } from '../events/kinds.js'
import type { Requester, Origin, SessionFacts } from '../core/session.js'
import { isWritable, requireWritable, serverStart, type ServerFacts } from '../tables/primary.js'
import { row, type Db } from '../tables/db.js'
import { jsonAs, numberAs, now } from '../tables/values.js'

const seconds = (at: RawBuilder<unknown>, name: string) => numberAs(sql`floor(extract(epoch from ${at}))`, name)

/** The columns of a session as `SessionFacts` names them; Unix times are whole seconds. */
export const sessionFacts = sql`
  user_id as "userId", id as "sessionId", ${jsonAs(sql`to_json(amr)`, 'amr')}, otp_required as "otpRequired",
  otp_device_id as "otpDeviceId",
  ${seconds(sql`otp_deadline`, 'otpDeadline')}, ${seconds(sql`otp_at`, 'otpTime')}, ${seconds(sql`auth_at`, 'authTime')},
  ${numberAs(sql`extract(epoch from auth_claimed_at)`, 'authClaimedTime')},
  ${seconds(sql`expires_at`, 'expiresAt')}, generation, ${seconds(sql`greatest(rotated_at, otp_at)`, 'issuedAt')}`

/** Time at which a statement read its answer, by that server's own clock: times of two servers are not compared. */
export interface ReadAt extends Pick<ServerFacts, 'server'> {
  /** Unix milliseconds, after the statement's snapshot was taken. */
  readAtMs: number
}

/** The columns of `ReadAt`, beside `now`. */
export const readAt = sql`${numberAs(sql`extract(epoch from now.at) * 1000`, 'readAtMs')}, ${serverStart} as server`

/** The ids of the sessions that a statement ended; beside its CTE `ended`. */
export const endedIds = jsonAs(sql`coalesce((select json_agg(ended.id) from ended), '[]'::json)`, 'endedIds')

/** Assignments that end a session: three columns that always change together. Replicas follow the transaction's id. */
export const ending = (reason: string | RawBuilder<unknown>) => sql`
  ended_at = now.at, ended_xid = pg_current_xact_id(), end_reason = ${reason}`

/** The columns of an event, in the order in which `eventValues` gives them. */
const columns = sql`user_id, at, id, kind, session_id, ip, agent, device_name, actor_id, detail, notify_after`
export const eventColumns = sql`(${columns})`

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

/** Values of an event, beside `now`: the event and its outbox entry belong to the transaction of the decision. */
export function eventValues (db: Db, { userId, kind, sessionId, origin, deviceName = sql`null`, actorId, detail }: EventValues) {
  const id = db.watch === null ? sql`gen_random_uuid()` : sql`${db.watch.newId()}::uuid`
  return sql`
    ${userId}::text, now.at, ${id}, ${kind}::text, ${sessionId}::text, ${origin.ip}::text, ${origin.agent}::text, ${deviceName}::text,
    ${actorId ?? null}::text, ${detail ?? null}::text, ${db.notifies ? sql`now.at` : sql`null::timestamptz`}`
}

/** Most events of one kind that a user causes in an hour as lines of their own; then one line counts the others. */
const EVENTS_AN_HOUR = 60

/**
 * Writes an event that the user caused, in the decision's own statement: CTEs beside `now`, from a relation of at most
 * one row. After `EVENTS_AN_HOUR` of a kind no row is added: the count of one line rises, and that line is notified once.
 *
 * The first event of a kind within an hour costs one look-up. From the second on, a row per user and kind numbers them,
 * which is exact for concurrent statements. Acts of staff and of the command line, sign-up and deletion are
 * inserted directly (`eventValues`): each of them stays a line of its own.
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
  return sql`
    ${made} ${eventColumns} as (select ${eventValues(db, values)} from ${from}),
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
    ${sql.ref(name)} as (
      insert into ${table.otp_event} as e (${columns}, count)
      select user_id, coalesce(line_at, at), case when line_at is null then id else line_id end, kind, session_id, ip, agent,
        device_name, actor_id, detail, notify_after, case when line_at is not null then 1 end
      from ${made} left join ${numbered} on true
      on conflict (user_id, at, id) do update set count = e.count + 1
    )`
}

/** Row of the requester's session if it lives, as `user_id` and `id`; beside `now`. A guard's reading may be a second old. */
export const livingSession = ({ table }: Db, { context: { userId, sessionId } }: Requester) => sql`
  select s.user_id, s.id from ${table.otp_session} s, now
  where s.user_id = ${userId} and s.id = ${sessionId} and s.ended_at is null and s.expires_at > now.at`

/** Reading of "alive", with its time and server. */
export interface SessionReading extends ReadAt { context: SessionFacts }

/** `reading` is null if the session has ended, has expired or never was. */
export interface Found extends Pick<ServerFacts, 'server'> { reading: SessionReading | null }

/** @throws {Refusal} UNAVAILABLE if the server takes no writes: it may have neither the session nor its end yet */
export async function readStanding (db: Db, userId: string, sessionId: string): Promise<Found> {
  const found = await row<SessionFacts & ReadAt & ServerFacts>(db, sql`
    with ${now}
    select ${sessionFacts}, ${readAt}, ${isWritable}
    from now left join ${db.table.otp_session} s
      on s.user_id = ${userId} and s.id = ${sessionId} and s.ended_at is null and s.expires_at > now.at`)
  const { isWritable: takesWrites, ...facts } = found!
  requireWritable(db, takesWrites)
  return { server: facts.server, reading: facts.sessionId === null ? null : reading(facts) }
}

export function reading ({ readAtMs, server, ...context }: SessionFacts & ReadAt): SessionReading {
  return { context, readAtMs, server }
}

/** Ends one session. Returns false if it had ended before. */
export async function endSession (db: Db, userId: string, sessionId: string, reason: EventKind, origin: Origin): Promise<boolean> {
  const { table } = db
  const ended = await row(db, sql`
    with ${now},
    ended as (
      update ${table.otp_session} s set ${ending(reason)} from now
      where s.user_id = ${userId} and s.id = ${sessionId} and s.ended_at is null
      returning s.user_id
    ),
    ${event(db, { userId: sql`ended.user_id`, kind: reason, sessionId, origin }, sql`ended, now`)}
    select user_id from ended`)
  return ended !== undefined
}
