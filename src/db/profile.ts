import { sql } from 'kysely'
import type { Asking } from '../core/session.js'
import { forgotten } from './known-networks.js'
import { committed, type CommittedSession } from './succession.js'
import { endedIds, ending, event, eventColumns, eventValues, livingSession, now, readAtMs, sessionFacts } from './sessions.js'
import { row, type Db } from './tables.js'
import { inTransaction, lockUser } from './transaction.js'

export interface ProfileChange {
  email?: string
  phone?: string
  firstName?: string
  lastName?: string
}

export type ChangedProfile = { outcome: 'changed', endedIds: string[] } | { outcome: 'session_ended' | 'stale' }

/**
 * Changes what is given. Another e-mail address is a change of standing: it asks for a fresh proof, raises the user's
 * version and ends the other sessions. The address that is there already is no change.
 *
 * @param isFresh whether the asking session may change the address
 */
export async function updateProfile (db: Db, asking: Asking, { email, phone, firstName, lastName }: ProfileChange, isFresh: boolean): Promise<ChangedProfile> {
  return await inTransaction(db, async (tx) => {
    const { table } = tx
    const { userId, sessionId } = asking.standing
    await lockUser(tx, userId)
    const found = await row<{ changed: boolean, endedIds: string[] }>(tx, sql`
      with ${now},
      asking as (
        select living.user_id, a.email <> coalesce(${email ?? null}, a.email) as moves
        from (${livingSession(tx, asking)}) living join ${table.account} a on a.id = ${userId}::uuid
      ),
      allowed as (select user_id, moves from asking where ${isFresh} or not moves),
      changed as (
        update ${table.account} a set email = coalesce(${email ?? null}, a.email), phone = coalesce(${phone ?? null}, a.phone),
          first_name = coalesce(${firstName ?? null}, a.first_name), last_name = coalesce(${lastName ?? null}, a.last_name), updated_at = now.at
        from allowed, now where a.id = ${userId}::uuid
        returning a.id
      ),
      raised as (
        update ${table.otp_user} u set version = u.version + 1 from allowed where u.user_id = allowed.user_id and allowed.moves
      ),
      ended as (
        update ${table.otp_session} s set ${ending('email_changed')}
        from allowed, now where s.user_id = allowed.user_id and allowed.moves and s.id <> ${sessionId} and s.ended_at is null
        returning s.id
      ),
      ${event(tx, { userId: sql`${userId}`, kind: 'email_changed', sessionId, origin: asking }, sql`allowed, now where allowed.moves`)}
      select exists (select from changed) as changed, ${endedIds} from asking`)
    if (found === undefined) return { outcome: 'session_ended' }
    return found.changed ? { outcome: 'changed', endedIds: found.endedIds } : { outcome: 'stale' }
  })
}

export type ChangedPassword = { outcome: 'changed', session: CommittedSession } | { outcome: 'session_ended' | 'moved' }

/**
 * Another password, if the user is still as judged. The other sessions end; the asking one goes on with the next
 * refresh generation, and has proven what it had proven.
 *
 * @param version `otp_user.version` as it was when the current password was asked
 * @returns `moved` if the version has
 */
export async function commitPassword (db: Db, asking: Asking, passwordHash: string, version: number): Promise<ChangedPassword> {
  return await inTransaction(db, async (tx) => {
    const { table } = tx
    const { userId, sessionId } = asking.standing
    await lockUser(tx, userId)
    const session = committed(await row(tx, sql`
      with ${now},
      asking as (
        select living.user_id, living.id from (${livingSession(tx, asking)}) living
        join ${table.otp_user} u on u.user_id = living.user_id and u.version = ${version}
      ),
      changed as (
        update ${table.account} a set password_hash = ${passwordHash}, updated_at = now.at
        from asking, now where a.id = ${userId}::uuid and a.is_active
        returning a.id
      ),
      raised as (
        update ${table.otp_user} u set version = u.version + 1 from changed where u.user_id = ${userId}
      ),
      ended as (
        update ${table.otp_session} s set ${ending('password_changed')}
        from changed, now where s.user_id = ${userId} and s.id <> ${sessionId} and s.ended_at is null
        returning s.id
      ),
      kept as (
        update ${table.otp_session} s set generation = s.generation + 1, rotated_at = now.at
        from changed, now where s.user_id = ${userId} and s.id = ${sessionId}
        returning s.*
      ),
      ${forgotten(tx, sql`changed`, userId, asking.network)},
      ${event(tx, { userId: sql`${userId}`, kind: 'password_changed', sessionId, origin: asking }, sql`changed, now`)}
      select ${sessionFacts}, ${readAtMs}, ${endedIds}
      from kept, now`))
    if (session !== null) return { outcome: 'changed', session }
    const isAlive = await row(tx, sql`with ${now} ${livingSession(tx, asking)}`) !== undefined
    return { outcome: isAlive ? 'moved' : 'session_ended' }
  })
}

/**
 * Deletes the account and everything that is the user's; the username is free again. What stays: the rows of sessions,
 * emptied, since replicas learn of an end from them (the sweep takes them after a week), the event of the deletion,
 * with where it was asked for, events that somebody outside has yet to be told of, in `account_import` that the user
 * was brought over once, and the budget of guesses at the name, which is nobody's.
 *
 * @returns the sessions that ended, the asking one included; null if that had ended before
 */
export async function deleteAccount (db: Db, asking: Asking): Promise<string[] | null> {
  return await inTransaction(db, async (tx) => {
    const { table } = tx
    const { userId, sessionId } = asking.standing
    await lockUser(tx, userId)
    const found = await row<{ endedIds: string[] }>(tx, sql`
      with ${now},
      asking as (${livingSession(tx, asking)}),
      ended as (
        update ${table.otp_session} s set ${ending('account_deleted')}, ip = '', agent = ''
        from asking, now where s.user_id = asking.user_id and s.ended_at is null
        returning s.id
      ),
      emptied as (
        update ${table.otp_session} s set ip = '', agent = '' from asking where s.user_id = asking.user_id and s.ended_at is not null
      ),
      devices as (delete from ${table.otp_device} d using asking where d.user_id = asking.user_id),
      codes as (delete from ${table.otp_recovery_code} c using asking where c.user_id = asking.user_id),
      events as (delete from ${table.otp_event} e using asking where e.user_id = asking.user_id and e.notify_after is null),
      counters as (delete from ${table.otp_event_counter} c using asking where c.user_id = asking.user_id),
      profiles as (delete from ${table.account_oauth_profile} p using asking where p.user_id = asking.user_id),
      networks as (delete from ${table.account_network} n using asking where n.user_id = asking.user_id),
      person as (delete from ${table.account} a using asking where a.id = ${userId}::uuid),
      standing as (delete from ${table.otp_user} u using asking where u.user_id = asking.user_id),
      event as (
        insert into ${table.otp_event} ${eventColumns}
        select ${eventValues(tx, { userId: sql`${userId}`, kind: 'account_deleted', sessionId, origin: asking })} from asking, now
      )
      select ${endedIds} from asking`)
    return found?.endedIds ?? null
  })
}
