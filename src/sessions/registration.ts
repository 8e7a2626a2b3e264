import { sql } from 'kysely'
import { amr } from '../core/assurance.js'
import type { Origin, SessionFacts } from '../core/session.js'
import { isEndedId } from './ended-ids.js'
import { event } from '../events/insert.js'
import {
  endedIds, ending, isAlive, readAt, reading, sessionFacts, type ReadAt, type SessionKey, type SessionReading
} from './statements.js'
import { alive, isMarked } from './marks.js'
import { xidOfChange } from './replacement.js'
import { row, type Db } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { inTransaction, lockUser } from '../tables/transaction.js'
import { now, timeOfSeconds, withNow } from '../tables/values.js'

/** Unverified sessions of one user at a host: more than a user has browsers and devices, few enough to end in time. */
export const MOST_REGISTERED = 1_000
/** Sessions that one registration evicts at most, if the user has too many. */
const MOST_EVICTED = 100

/** How to register a session that began at a host. */
export interface Adoption {
  /** Unix seconds of the proof at the host, such as the password; null if the host does not give it: the proof counts as old. */
  authTime: number | null
  /** Seconds after which the registration expires; then the session begins again, unverified. */
  sessionSeconds: number
  origin: Origin
}

export interface Adopted extends SessionReading {
  /** Ids of the sessions that were evicted because the user had too many. */
  endedIds: string[]
}

/** A host's time in whole seconds, rounded up: the stored value must not be before the value that it is compared with. */
const claimed = (authTime: number | null) => sql`to_timestamp(${Math.ceil(authTime ?? 0)}::float8)`

/**
 * Waits for a cleanup that is deleting the row. Only later statements see the digest that replaces the row.
 * An insert that waited for the deletion itself would put the session back.
 */
const lockSession = statement('lock_session', (db, p: Parameters<SessionKey>) => db.selectFrom('otp_session as s').select('s.id')
  .where('s.user_id', '=', p.userId).where('s.id', '=', p.sessionId).forNoKeyUpdate('s'))

/**
 * Registers a host's session that is not known here yet or has expired here. From now on it has a row in which its end can
 * be stored. It has the proof that the host states, and needs a code if the user has a device. The user is locked, since
 * the confirmation of a device at the same time ends every session that has a row. A session that begins again increases
 * `generation`, which has no other use for a host's session.
 *
 * @returns null if it has ended
 */
export async function adoptSession (db: Db, userId: string, sessionId: string, adoption: Adoption): Promise<Adopted | null> {
  const { authTime, sessionSeconds, origin } = adoption
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    await lockSession.first(tx, { userId, sessionId })
    const { table } = tx
    const found = await row<SessionFacts & ReadAt & { endedIds: string[] }>(tx, sql`
      with ${now},
      begun as (
        insert into ${table.otp_session} as s
          (user_id, id, started_at, expires_at, auth_at, auth_claimed_at, amr, otp_required, rotated_at, ip, agent)
        select ${userId}, ${sessionId}, now.at, now.at + make_interval(secs => ${sessionSeconds}),
          least(now.at, to_timestamp(${authTime ?? 0}::float8)), case when ${claimed(authTime)} > now.at then ${claimed(authTime)} end,
          ${[...amr.password]}::text[],
          exists (select from ${table.otp_device} d where d.user_id = ${userId} and d.confirmed_at is not null),
          now.at, ${origin.ip}, ${origin.agent}
        from now
        where not ${isEndedId(tx, userId, sessionId)} and not ${isMarked(tx, userId, authTime)}
        on conflict (user_id, id) do update set
          started_at = excluded.started_at, expires_at = excluded.expires_at, amr = excluded.amr,
          auth_at = least(excluded.auth_at, case when s.auth_claimed_at >= ${claimed(authTime)} then s.auth_at end),
          auth_claimed_at = greatest(s.auth_claimed_at, excluded.auth_claimed_at),
          otp_required = excluded.otp_required, otp_device_id = null, otp_at = null, otp_factor_ids = '{}', phr_at = null,
          rotated_at = excluded.rotated_at, failures = 0, generation = s.generation + 1, ip = excluded.ip, agent = excluded.agent
        where s.ended_at is null and s.expires_at <= excluded.started_at
        returning *
      ),
      surplus as (
        select s.id from ${table.otp_session} s, begun, now
        where s.user_id = ${userId} and s.id <> begun.id and s.ended_at is null and s.otp_device_id is null
        order by s.expires_at > now.at desc, s.rotated_at desc offset ${MOST_REGISTERED - 1} limit ${MOST_EVICTED}
      ),
      ended as (
        update ${table.otp_session} s set ${ending('session_evicted')} from surplus, now
        where s.user_id = ${userId} and s.id = surplus.id and s.ended_at is null
        returning s.id
      ),
      ${event(tx, {
        userId: sql`${userId}`,
        kind: 'session_evicted',
        sessionId,
        origin,
        detail: sql`(select case count(*) when 1 then min(ended.id) else count(*)::text end from ended)`
      }, sql`now where exists (select from ended)`)}
      select ${sessionFacts}, ${readAt}, ${endedIds}
      from (
        select * from begun
        union all
        select * from ${table.otp_session} s where s.user_id = ${userId} and s.id = ${sessionId} and not exists (select from begun)
      ) s, now
      where ${alive(tx)}`)
    if (found === undefined) return null
    const { endedIds: ids, ...facts } = found
    return { ...reading(facts), endedIds: ids }
  })
}

const updateClaim = statement('record_claim', (db, p: Parameters<SessionKey & { claimed: number }>, { hasAccounts }) => withNow(db)
  .updateTable('otp_session as s').from('now')
  .set((eb) => ({
    auth_at: eb.fn<Date>('least', ['now.at', timeOfSeconds(p.claimed)]),
    auth_claimed_at: timeOfSeconds(p.claimed),
    ended_xid: xidOfChange({ hasAccounts })
  }))
  .where('s.user_id', '=', p.userId).where('s.id', '=', p.sessionId).where(isAlive)
  .where((eb) => eb.or([eb('s.auth_claimed_at', 'is', null), eb('s.auth_claimed_at', '<', timeOfSeconds(p.claimed))]))
  .returning('s.id'))

/**
 * Records a host's proof that is dated ahead of PostgreSQL's clock: it counts as given now, once. Nothing changes if the
 * session ended meanwhile or another request recorded the proof.
 *
 * @returns true if it was recorded
 */
export async function recordClaim (db: Db, userId: string, sessionId: string, authTime: number): Promise<boolean> {
  return await updateClaim.first(db, { userId, sessionId, claimed: Math.ceil(authTime) }) !== undefined
}

/** `taken`: the other id was known before. `wasSeen`: it was registered as an unverified session while the host moved to it. */
export type Moved = { outcome: 'moved', session: SessionReading, wasSeen: boolean } | { outcome: 'ended' | 'taken' }

/**
 * Moves a session to the id under which the host continues: the new session has all proofs, and the old one has ended. The
 * user is locked first. So this sees a session that was registered while it waited, and statements that end all of the
 * user's sessions see the new row.
 *
 * Requests may name the new session as soon as the host has made it, before `complete` has answered. Its row is then that
 * of an unverified session which began after the proof, and the move replaces it. An id that began earlier is refused: it
 * may be known to an attacker.
 */
export async function moveSession (db: Db, userId: string, fromId: string, toId: string): Promise<Moved> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    await lockSession.first(tx, { userId, sessionId: toId })
    const { table } = tx
    const found = await row<SessionFacts & ReadAt & { isTaken: boolean, wasSeen: boolean }>(tx, sql`
      with ${now},
      leaving as (
        select s.* from ${table.otp_session} s, now
        where s.user_id = ${userId} and s.id = ${fromId} and ${alive(tx)}
        for no key update of s
      ),
      other as (
        select s.ended_at is null and s.otp_device_id is null and s.generation = 0
          and coalesce(s.started_at > (select greatest(rotated_at, otp_at) from leaving), false) as "isNew"
        from ${table.otp_session} s where s.user_id = ${userId} and s.id = ${toId}
      ),
      target as (select exists (select from other where not "isNew") or ${isEndedId(tx, userId, toId)} as "isTaken"),
      ended as (
        update ${table.otp_session} s set ${ending('moved')}
        from leaving, target, now where s.user_id = leaving.user_id and s.id = leaving.id and not target."isTaken"
        returning s.*
      ),
      moved as (
        insert into ${table.otp_session} as s (user_id, id, started_at, expires_at, auth_at, auth_claimed_at, amr, otp_required,
          otp_device_id, otp_at, otp_factor_ids, phr_at, otp_deadline, generation, rotated_at, failures, ip, agent)
        select user_id, ${toId}, started_at, expires_at, auth_at, auth_claimed_at, amr, otp_required, otp_device_id, otp_at,
          otp_factor_ids, phr_at, otp_deadline, generation, rotated_at, failures, ip, agent
        from ended
        on conflict (user_id, id) do update set
          started_at = excluded.started_at, expires_at = excluded.expires_at, auth_at = excluded.auth_at,
          auth_claimed_at = excluded.auth_claimed_at, amr = excluded.amr, otp_required = excluded.otp_required,
          otp_device_id = excluded.otp_device_id, otp_at = excluded.otp_at, otp_factor_ids = excluded.otp_factor_ids,
          phr_at = excluded.phr_at, otp_deadline = excluded.otp_deadline,
          generation = excluded.generation, rotated_at = excluded.rotated_at, failures = excluded.failures,
          ip = excluded.ip, agent = excluded.agent, ended_xid = ${xidOfChange(tx)}
        returning *
      )
      select ${sessionFacts}, ${readAt}, target."isTaken", exists (select from other) as "wasSeen"
      from now cross join target left join moved on true`)
    const { isTaken, wasSeen, ...facts } = found!
    if (isTaken) return { outcome: 'taken' }
    return facts.sessionId === null ? { outcome: 'ended' } : { outcome: 'moved', session: reading(facts), wasSeen }
  })
}
