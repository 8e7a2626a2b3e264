import { sql, type RawBuilder } from 'kysely'
import { amr, amrOf, factorIdsOf, PHISHING_RESISTANT } from '../core/assurance.js'
import type { OtpMethod } from '../core/refusals.js'
import type { Requester, SessionFacts } from '../core/session.js'
import { event } from '../events/insert.js'
import { methodsOf, type MethodChange } from './methods.js'
import { ending, endedIds, readAt, reading, sessionFacts, type ReadAt, type SessionKey, type SessionReading } from './statements.js'
import type { Db } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { currentXid, earlier, jsonAs, withNow } from '../tables/values.js'

/** Result of a committed decision: the session to return, the methods of its user, and the ids of the sessions that it ended. */
export interface CommittedSession extends SessionReading { otpMethods: OtpMethod[], endedIds: string[] }

/** Proofs of the session that continues, under its own id or as a new one. */
export interface Proof {
  /** RFC 8176. */
  amr: readonly string[]
  /** `phr` for a passkey. Another second factor keeps the time of an earlier passkey, and never renews it. */
  acr?: string | null
  otpRequired: boolean
  /** Device, as an expression; null if only the password was proven. */
  deviceId: RawBuilder<unknown> | null
  /** Ids of all factors that the proofs rely on, as an expression; null if there are none. */
  factorIds: RawBuilder<unknown> | null
  /** Life of a new session in seconds. If it replaces a verified session, it ends no later than that one. */
  seconds: number
  /** Time from which the session opens only the set-up of a device. */
  deadline?: RawBuilder<unknown>
}

const noFactors = sql`'{}'::text[]`

/** Columns of a new session's row that have no default. */
const columns = sql`
  user_id, id, started_at, expires_at, auth_at, amr, otp_required, otp_device_id, otp_at, rotated_at, ip, agent, otp_deadline`
export const startedColumns = sql`(${columns})`

/**
 * Session replacement: the requester's session continues under `nextId` as a new one, or as itself where it `stays`. It
 * stays if it is verified and proved itself once more, or if `nextId` is its own id, since its host cannot move it. A CTE
 * beside `now` and `requester` (user_id, id, auth_at, stays; `until` if the new session must end by then), one row for each row
 * of `decided`.
 */
export function started (
  { table }: Db, decided: RawBuilder<unknown>, requester: Requester, nextId: string, proof: Proof
): RawBuilder<unknown> {
  const { otpRequired, deviceId, factorIds, seconds, deadline } = proof
  const old = sql`${table.otp_session} s where s.user_id = requester.user_id and s.id = requester.id`
  const phrTime = deviceId === null || isPhishingResistant(proof) ? null : requester.context.phrTime ?? null
  const phrAt = isPhishingResistant(proof) ? sql`now.at` : sql`to_timestamp(${phrTime}::float8)`
  const earlier = phrTime === null ? noFactors : sql`(select s.otp_factor_ids from ${old})`
  return sql`
    started as (
      insert into ${table.otp_session} (${columns}, phr_at, otp_factor_ids, auth_claimed_at)
      select ${decided}.user_id, ${nextId}, now.at, least(now.at + make_interval(secs => ${seconds}), requester.until), requester.auth_at,
        ${phrTime === null ? proof.amr : withPasskey(proof.amr)}::text[], ${otpRequired}::boolean, ${deviceId ?? sql`null`}::text,
        ${deviceId === null ? sql`null::timestamptz` : sql`now.at`}, now.at,
        ${requester.ip}, ${requester.agent}, ${deadline ?? sql`null::timestamptz`}, ${phrAt},
        ${factorIds ?? noFactors}::text[] || ${earlier}::text[], (select s.auth_claimed_at from ${old})
      from ${decided}, requester, now where not requester.stays
      returning *
    )`
}

const isPhishingResistant = ({ acr }: Proof): boolean => acr === PHISHING_RESISTANT

/** Returns the methods of a session that also has an earlier proof by a passkey. */
const withPasskey = (methods: readonly string[]): string[] => [...new Set([...methods, ...amr.passkey])]

/**
 * The same without a new proof: the new session has the proofs of the requester's token, which may be fewer than those of
 * its row. It does not live longer and has no more wrong codes left. Here `requester` is the whole row, and `stays`.
 */
export function carriedOn ({ table }: Db, decided: RawBuilder<unknown>, requester: Requester, nextId: string): RawBuilder<unknown> {
  const { otpDeviceId, otpTime, phrTime = null } = requester.context
  return sql`
    started as (
      insert into ${table.otp_session} (${columns}, phr_at, otp_factor_ids, failures, auth_claimed_at)
      select ${decided}.user_id, ${nextId}, now.at, requester.expires_at, requester.auth_at, ${amrOf(requester.context)}::text[],
        requester.otp_required, ${otpDeviceId}::text, to_timestamp(${otpTime}::float8), now.at, ${requester.ip}, ${requester.agent},
        requester.otp_deadline, to_timestamp(${phrTime}::float8),
        ${phrTime === null ? sql`${factorIdsOf(otpDeviceId)}::text[]` : sql`requester.otp_factor_ids`},
        requester.failures, requester.auth_claimed_at
      from ${decided}, requester, now where not requester.stays
      returning *
    )`
}

/** Ends sessions, and stores `nextId` in the requester's row, so that a repeated request is recognised. Beside `requester`. */
export const replacing = (reason: string | RawBuilder<unknown>, nextId: string) => sql`
  ${ending(reason)}, replaced_by = case when s.id = requester.id then ${nextId}::text end`

/**
 * The same for a session that stays. Its refresh generation stays too: a tab that took no part, or lost the answer, goes
 * on with the token that it has.
 */
export function kept (db: Db, decided: RawBuilder<unknown>, proof: Proof): RawBuilder<unknown> {
  const { otpRequired, deviceId, factorIds, deadline } = proof
  const phrAt = isPhishingResistant(proof) ? sql`now.at` : deviceId === null ? sql`null::timestamptz` : sql`s.phr_at`
  /** True if an earlier proof by a passkey stays beside the new one. */
  const staysPhr = isPhishingResistant(proof) || deviceId === null ? sql`false` : sql`s.phr_at is not null`
  return sql`
    kept as (
      update ${db.table.otp_session} s set
        amr = case when ${staysPhr} then ${withPasskey(proof.amr)}::text[] else ${[...proof.amr]}::text[] end,
        otp_required = ${otpRequired}::boolean, otp_device_id = ${deviceId ?? sql`null`}::text,
        otp_factor_ids = ${factorIds ?? noFactors}::text[] || case when ${staysPhr} then s.otp_factor_ids else ${noFactors} end,
        otp_at = ${deviceId === null ? sql`null::timestamptz` : sql`now.at`}, phr_at = ${phrAt},
        otp_deadline = ${deadline ?? sql`null::timestamptz`}, failures = 0,
        ${changedInPlace(db)}
      from ${decided}, requester, now where s.user_id = ${decided}.user_id and s.id = requester.id and requester.stays
      returning s.*
    )`
}

/**
 * Value of `ended_xid` that makes the revocation poller name a session that changed and did not end: it is set, `ended_at` is not. The
 * service does not need that: its tokens hold the proofs, independent of the caches. There the value stays as it is: a switch of the
 * policy may have set it.
 */
export const xidOfChange = ({ hasAccounts }: Pick<Db, 'hasAccounts'>) => hasAccounts ? sql<string | null>`s.ended_xid` : currentXid

/** The same as an assignment. */
export const changedInPlace = (db: Db) => sql`ended_xid = ${xidOfChange(db)}`

/** Condition: the session continues as itself, with any proofs. A host that cannot move it passes its own id as `nextId`. */
export const isInPlace = ({ context: { sessionId } }: Requester, nextId: string) => sql`${sessionId === nextId}::boolean`

/** Verified sessions of one user: more than a person has browsers and devices. A host may start one for each run of a program. */
const MOST_VERIFIED = { atService: 100, atHost: 1_000 }
/** Sessions that one verification evicts at most, if the user has too many. */
const MOST_EVICTED = 1_000

/**
 * Verified sessions past `MOST_VERIFIED`, the requester's counted: first the expired ones, then those idle longest. A CTE
 * beside `now` and `requester`, for the CTE that ends sessions. It may not see sessions that other requests verify at this
 * moment: the next verification evicts the surplus.
 */
export const surplus = ({ table, hasAccounts }: Db, decided: RawBuilder<unknown>) => sql`
    surplus as (
      select s.id from ${table.otp_session} s, ${decided} decided, requester, now
      where s.user_id = decided.user_id and s.id <> requester.id and s.ended_at is null and s.otp_device_id is not null
      order by s.expires_at > now.at desc, greatest(s.rotated_at, s.otp_at) desc
      offset ${(hasAccounts ? MOST_VERIFIED.atService : MOST_VERIFIED.atHost) - 1}::int limit ${MOST_EVICTED}::int
    )`

/** End reason of a session beside `surplus`. */
export const reasonFor = (reason: string) => sql`
  case when s.id in (select id from surplus) then 'session_evicted' else ${reason}::text end`

/** Writes one event for all evicted sessions: it names the session or says how many. CTEs beside `surplus` and `ended`. */
export const evictedEvent = (db: Db, requester: Requester) => event(db, {
  userId: sql`${requester.context.userId}`,
  kind: 'session_evicted',
  sessionId: requester.context.sessionId,
  origin: requester,
  detail: sql`case when evicted.sessions = 1 then evicted.id else evicted.sessions || ' sessions' end`
}, sql`(select min(id) as id, count(*) as sessions from ended join surplus using (id)) evicted, now where evicted.sessions > 0`, 'eviction')

/** Seconds in which a repeated request is recognised as such: longer than a request takes. */
const REPEAT_SECONDS = 10

const selectReplaced = statement('reason_replaced', (db, p: Parameters<SessionKey>) => withNow(db)
  .selectFrom(['otp_session as s', 'now']).select('s.end_reason as reason')
  .where('s.user_id', '=', p.userId).where('s.id', '=', p.sessionId).where('s.replaced_by', 'is not', null)
  .where((eb) => eb('s.ended_at', '>', earlier(eb.ref('now.at'), REPEAT_SECONDS))))

/** Returns the end reason if the session was replaced by its own request a moment ago; else null. */
export const reasonReplaced = async (db: Db, { userId, sessionId }: SessionKey): Promise<string | null> =>
  (await selectReplaced.first(db, { userId, sessionId }))?.reason ?? null

/**
 * Selects the resulting session, the methods of its user after the statement, and the ids of the ended sessions.
 *
 * @param change what the statement changes about the methods; `none` if it removes all
 */
export const answered = (
  db: Db, userId: string, { more = sql``, kept = true, change = {} }: {
    more?: RawBuilder<unknown>, kept?: boolean, change?: MethodChange | 'none'
  } = {}
) => sql`
    select ${sessionFacts}, ${readAt},
      ${change === 'none' ? jsonAs(sql`'[]'::json`, 'otpMethods') : methodsOf(db, userId, 'otpMethods', change)},
      ${endedIds}${more}
    from (select * from started${kept ? sql` union all select * from kept` : sql``}) session, now`

export function committed (found: unknown): CommittedSession | null {
  if (found === undefined) return null
  const { endedIds, otpMethods, ...facts } = found as SessionFacts & ReadAt & Pick<CommittedSession, 'endedIds' | 'otpMethods'>
  return { ...reading(facts), endedIds, otpMethods }
}
