import { sql, type RawBuilder } from 'kysely'
import { amrOf } from '../core/assurance.js'
import type { Asking, SessionFacts } from '../core/session.js'
import { ending, endedIds, event, readAt, reading, sessionFacts, type ReadAt, type SessionReading } from './statements.js'
import { now } from '../tables/values.js'
import { row, type Db } from '../tables/db.js'

/** What an accepted decision came to: the session to answer with, and those that ended for it. */
export interface CommittedSession extends SessionReading { endedIds: string[] }

/** What the asking session has proven when it goes on, as itself or as a new one. */
export interface Proof {
  /** RFC 8176. */
  amr: readonly string[]
  otpRequired: boolean
  /** The device, as an expression; null where the password is all that was proven. */
  deviceId: RawBuilder<unknown> | null
  /** How long a new session lives; one that takes the place of a verified session no longer than that one. */
  seconds: number
  /** From when on it opens only what sets a device up. */
  deadline?: RawBuilder<unknown>
}

/** What a new session's row takes; the rest has defaults. */
const columns = sql`user_id, id, started_at, expires_at, auth_at, amr, otp_required, otp_device_id, otp_at, rotated_at, ip, agent, otp_deadline`
export const startedColumns = sql`(${columns})`

/**
 * As whom the asking session goes on: under `nextId` as a new one, or as itself where it `stays`: it is verified and
 * proved itself once more, or `nextId` is its own id, since its host cannot move it. A CTE beside `now` and `asking`
 * (user_id, id, auth_at, stays; `until`, if the new one must end by then), for each row of the one that decided.
 */
export const started = ({ table }: Db, decided: RawBuilder<unknown>, asking: Asking, nextId: string, { amr, otpRequired, deviceId, seconds, deadline }: Proof) => sql`
    started as (
      insert into ${table.otp_session} (${columns}, auth_claimed_at)
      select ${decided}.user_id, ${nextId}, now.at, least(now.at + make_interval(secs => ${seconds}), asking.until), asking.auth_at,
        ${[...amr]}::text[], ${otpRequired}::boolean, ${deviceId ?? sql`null`}::text, ${deviceId === null ? sql`null::timestamptz` : sql`now.at`}, now.at,
        ${asking.ip}, ${asking.agent}, ${deadline ?? sql`null::timestamptz`},
        (select s.auth_claimed_at from ${table.otp_session} s where s.user_id = asking.user_id and s.id = asking.id)
      from ${decided}, asking, now where not asking.stays
      returning *
    )`

/**
 * The same where nothing was proven anew: the new session has proven what the asking token says, which may be less than
 * its row, and neither lives longer nor has more wrong codes left. `asking` is the whole row here, and `stays`.
 */
export function carriedOn ({ table }: Db, decided: RawBuilder<unknown>, asking: Asking, nextId: string): RawBuilder<unknown> {
  const { otpDeviceId, otpTime } = asking.standing
  return sql`
    started as (
      insert into ${table.otp_session} (${columns}, failures, auth_claimed_at)
      select ${decided}.user_id, ${nextId}, now.at, asking.expires_at, asking.auth_at,
        case when asking.otp_device_id is not distinct from ${otpDeviceId}::text then asking.amr
          else ${[...amrOf(otpDeviceId)]}::text[] end,
        asking.otp_required, ${otpDeviceId}::text, to_timestamp(${otpTime}::float8), now.at, ${asking.ip}, ${asking.agent},
        asking.otp_deadline, asking.failures, asking.auth_claimed_at
      from ${decided}, asking, now where not asking.stays
      returning *
    )`
}

/** Ends sessions of which the asking one goes on under `nextId`: noted, so that its request, sent twice, is told apart. Beside `asking`. */
export const replacing = (reason: string | RawBuilder<unknown>, nextId: string) => sql`
  ${ending(reason)}, replaced_by = case when s.id = asking.id then ${nextId}::text end`

/**
 * The same for one that stays. Its refresh generation stays too: a tab that took no part, or lost the answer, goes on
 * with the token it has.
 */
export const kept = (db: Db, decided: RawBuilder<unknown>, { amr, otpRequired, deviceId, deadline }: Proof) => sql`
    kept as (
      update ${db.table.otp_session} s set amr = ${[...amr]}::text[], otp_required = ${otpRequired}::boolean, otp_device_id = ${deviceId ?? sql`null`}::text,
        otp_at = ${deviceId === null ? sql`null::timestamptz` : sql`now.at`}, otp_deadline = ${deadline ?? sql`null::timestamptz`}, failures = 0,
        ${changedInPlace(db)}
      from ${decided}, asking, now where s.user_id = ${decided}.user_id and s.id = asking.id and asking.stays
      returning s.*
    )`

/**
 * The feed names what changed and did not end, too: the place in it is the same, the end is not there. The service needs
 * none of that: its tokens say what was proven, whatever a replica remembers of the session.
 */
export const changedInPlace = ({ hasAccounts }: Db) => sql`ended_xid = ${hasAccounts ? sql`null` : sql`pg_current_xact_id()`}`

/** Whether the asking session goes on as itself, whatever it has proven: a host that cannot move it hands in its own id. */
export const isInPlace = ({ standing: { sessionId } }: Asking, nextId: string) => sql`${sessionId === nextId}::boolean`

/** Verified sessions of a user: more than a person has browsers and devices. A host may start one for each run of a program. */
const MOST_VERIFIED = { atService: 100, atHost: 1_000 }
/** Evicted by one verification, where a user has more than there may be. */
const MOST_EVICTED = 1_000

/**
 * Verified sessions past `MOST_VERIFIED`, the asking one counted: those that expired, then those idle longest. A CTE beside
 * `now` and `asking`, for the one that ends sessions. Sessions that other requests verify at this moment may not be seen:
 * the next verification evicts what is too many then.
 */
export const surplus = ({ table, hasAccounts }: Db, decided: RawBuilder<unknown>) => sql`
    surplus as (
      select s.id from ${table.otp_session} s, ${decided} decided, asking, now
      where s.user_id = decided.user_id and s.id <> asking.id and s.ended_at is null and s.otp_device_id is not null
      order by s.expires_at > now.at desc, greatest(s.rotated_at, s.otp_at) desc
      offset ${(hasAccounts ? MOST_VERIFIED.atService : MOST_VERIFIED.atHost) - 1}::int limit ${MOST_EVICTED}::int
    )`

/** Why a session ends beside `surplus`. */
export const reasonFor = (reason: string) => sql`case when s.id in (select id from surplus) then 'session_evicted' else ${reason}::text end`

/** Writes that sessions were evicted: one event, which names the session or says how many. CTEs beside `surplus` and `ended`. */
export const evictedEvent = (db: Db, asking: Asking) => event(db, {
  userId: sql`${asking.standing.userId}`,
  kind: 'session_evicted',
  sessionId: asking.standing.sessionId,
  origin: asking,
  detail: sql`case when evicted.sessions = 1 then evicted.id else evicted.sessions || ' sessions' end`
}, sql`(select min(id) as id, count(*) as sessions from ended join surplus using (id)) evicted, now where evicted.sessions > 0`, 'eviction')

/** For so long a request that comes twice is told apart from one of a session that ended otherwise: longer than a request takes. */
const REPEAT_SECONDS = 10

/** Why the session ended, if it did a moment ago and its own request put another one in its place; else null. */
export async function reasonReplaced (db: Db, { userId, sessionId }: { userId: string, sessionId: string }): Promise<string | null> {
  const { table } = db
  const found = await row<{ reason: string }>(db, sql`
    with ${now}
    select s.end_reason as reason from ${table.otp_session} s, now
    where s.user_id = ${userId} and s.id = ${sessionId} and s.replaced_by is not null
      and s.ended_at > now.at - make_interval(secs => ${REPEAT_SECONDS})`)
  return found?.reason ?? null
}

/** The one session that came of it, and the ids of those that ended. */
export const answered = ({ more = sql``, kept = true }: { more?: RawBuilder<unknown>, kept?: boolean } = {}) => sql`
    select ${sessionFacts}, ${readAt},
      ${endedIds}${more}
    from (select * from started${kept ? sql` union all select * from kept` : sql``}) session, now`

export function committed (found: unknown): CommittedSession | null {
  if (found === undefined) return null
  const { endedIds, ...facts } = found as SessionFacts & ReadAt & { endedIds: string[] }
  return { ...reading(facts), endedIds }
}
