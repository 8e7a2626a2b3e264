import { sql } from 'kysely'
import { amr } from '../core/assurance.js'
import type { Origin, SessionFacts } from '../core/session.js'
import { isUniqueViolation } from './errors.js'
import { now, readAtMs, reading, sessionFacts, type SessionReading } from './sessions.js'
import { row, type Db } from './tables.js'
import { inTransaction, lockUser } from './transaction.js'

/** How a session that began at a host begins here. */
export interface Adoption {
  /** When the password, or whatever the host goes by, was given (Unix seconds); null if the host does not say: now, then. */
  authTime: number | null
  /** For how long it is followed; after that it begins anew, unverified. */
  sessionSeconds: number
  origin: Origin
}

/**
 * A host's session that nobody has seen here yet, or whose time is over: from now on there is a row for its end to be
 * written into. It has proven what the host says, and owes a code if the user has a device. Behind the user's lock,
 * since a device that is being confirmed at this moment ends every session that has a row.
 *
 * @returns null if it has ended
 */
export async function adoptSession (db: Db, userId: string, sessionId: string, { authTime, sessionSeconds, origin }: Adoption): Promise<SessionReading | null> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const { table } = tx
    const found = await row<SessionFacts & { readAtMs: number }>(tx, sql`
      with ${now},
      begun as (
        insert into ${table.otp_session} as s (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent)
        select ${userId}, ${sessionId}, now.at, now.at + make_interval(secs => ${sessionSeconds}), least(now.at, to_timestamp(${authTime}::float8)), ${[...amr.password]}::text[],
          exists (select from ${table.otp_device} d where d.user_id = ${userId} and d.confirmed_at is not null), now.at, ${origin.ip}, ${origin.agent}
        from now
        on conflict (user_id, id) do update set
          started_at = excluded.started_at, expires_at = excluded.expires_at, auth_at = excluded.auth_at, amr = excluded.amr,
          otp_required = excluded.otp_required, otp_device_id = null, otp_at = null, rotated_at = excluded.rotated_at, failures = 0,
          ip = excluded.ip, agent = excluded.agent
        where s.ended_at is null and s.expires_at <= excluded.started_at
        returning *
      )
      select ${sessionFacts}, ${readAtMs}
      from (
        select * from begun
        union all select * from ${table.otp_session} s where s.user_id = ${userId} and s.id = ${sessionId} and not exists (select from begun)
      ) session, now
      where ended_at is null and expires_at > now.at`)
    return found === undefined ? null : reading(found)
  })
}

/** `taken`: the other id is one that was seen before. */
export type Moved = { outcome: 'moved', session: SessionReading } | { outcome: 'ended' | 'taken' }

/**
 * The host went on under another id: the session with all that it has proven is there now, and has ended here. The
 * user's row is locked first: a statement that ends all of the user's sessions would not see the new row, if that were
 * written while it runs. Nor does this one see a row that was adopted while it waited: the key does.
 */
export async function moveSession (db: Db, userId: string, fromId: string, toId: string): Promise<Moved> {
  const { table } = db
  const moving = row<SessionFacts & { readAtMs: number, isTaken: boolean }>(db, sql`
    with ${now},
    leaving as (
      select s.user_id, s.id
      from ${table.otp_user} u join ${table.otp_session} s on s.user_id = u.user_id, now
      where u.user_id = ${userId} and s.id = ${fromId} and s.ended_at is null and s.expires_at > now.at
        and not exists (select from ${table.otp_session} other where other.user_id = ${userId} and other.id = ${toId})
      for no key update of u, s
    ),
    ended as (
      update ${table.otp_session} s set ended_at = now.at, ended_xid = pg_current_xact_id(), end_reason = 'moved'
      from leaving, now where s.user_id = leaving.user_id and s.id = leaving.id
      returning s.*
    ),
    moved as (
      insert into ${table.otp_session} (user_id, id, started_at, expires_at, auth_at, amr, otp_required, otp_device_id, otp_at, otp_deadline,
        generation, rotated_at, failures, ip, agent)
      select user_id, ${toId}, started_at, expires_at, auth_at, amr, otp_required, otp_device_id, otp_at, otp_deadline,
        generation, rotated_at, failures, ip, agent
      from ended
      returning *
    )
    select ${sessionFacts}, ${readAtMs},
      exists (select from ${table.otp_session} s where s.user_id = ${userId} and s.id = ${toId}) as "isTaken"
    from now left join moved on true`)
  const found = await moving.catch((error: unknown) => {
    if (isUniqueViolation(error)) return null
    throw error
  })
  if (found === null) return { outcome: 'taken' }
  const { isTaken, ...facts } = found!
  if (isTaken) return { outcome: 'taken' }
  return facts.sessionId === null ? { outcome: 'ended' } : { outcome: 'moved', session: reading(facts) }
}
