import { sql } from 'kysely'
import type { Asking } from '../core/session.js'
import { forgotten } from '../budgets/known-networks.js'
import { answered, carriedOn, committed, replacing, type CommittedSession } from '../sessions/replacement.js'
import { endedIds, ending, event, eventColumns, eventValues, livingSession } from '../sessions/statements.js'
import { now } from '../tables/values.js'
import { row, type Db } from '../tables/db.js'
import { inTransaction, lockUser } from '../tables/transaction.js'

export interface ProfileChange {
  email?: string
  phone?: string
  firstName?: string
  lastName?: string
}

export type ChangedProfile = { outcome: 'changed', endedIds: string[] } | { outcome: 'session_ended' | 'stale' }

/**
 * Changes what is given. Another e-mail address or telephone number asks for a fresh proof, since an account is recovered
 * and its owner is reached by them, and leaves an event. Another e-mail address also raises the user's version and ends
 * the other sessions. A value that is there already is no change; names are the owner's own affair.
 *
 * @param isFresh whether the asking session may change address and number
 */
export async function updateProfile (
  db: Db, asking: Asking, { email, phone, firstName, lastName }: ProfileChange, isFresh: boolean
): Promise<ChangedProfile> {
  return await inTransaction(db, async (tx) => {
    const { table } = tx
    const { userId, sessionId } = asking.standing
    await lockUser(tx, userId)
    const found = await row<{ changed: boolean, endedIds: string[] }>(tx, sql`
      with ${now},
      asking as (
        select living.user_id, a.email <> coalesce(${email ?? null}, a.email) as new_email,
          a.phone <> coalesce(${phone ?? null}, a.phone) as new_phone
        from (${livingSession(tx, asking)}) living join ${table.account} a on a.id = ${userId}::uuid
      ),
      allowed as (select user_id, new_email, new_phone from asking where ${isFresh} or not (new_email or new_phone)),
      changed as (
        update ${table.account} a set email = coalesce(${email ?? null}, a.email), phone = coalesce(${phone ?? null}, a.phone),
          first_name = coalesce(${firstName ?? null}, a.first_name), last_name = coalesce(${lastName ?? null}, a.last_name),
          updated_at = now.at
        from allowed, now where a.id = ${userId}::uuid
        returning a.id
      ),
      raised as (
        update ${table.otp_user} u set version = u.version + 1 from allowed where u.user_id = allowed.user_id and allowed.new_email
      ),
      ended as (
        update ${table.otp_session} s set ${ending('email_changed')}
        from allowed, now where s.user_id = allowed.user_id and allowed.new_email and s.id <> ${sessionId} and s.ended_at is null
        returning s.id
      ),
      ${event(tx, { userId: sql`${userId}`, kind: 'email_changed', sessionId, origin: asking }, sql`allowed, now where allowed.new_email`)},
      ${event(
        tx, { userId: sql`${userId}`, kind: 'phone_changed', sessionId, origin: asking },
        sql`allowed, now where allowed.new_phone`, 'phone_event'
      )}
      select exists (select from changed) as changed, ${endedIds} from asking`)
    if (found === undefined) return { outcome: 'session_ended' }
    return found.changed ? { outcome: 'changed', endedIds: found.endedIds } : { outcome: 'stale' }
  })
}

export type ChangedPassword = { outcome: 'changed', session: CommittedSession } | { outcome: 'session_ended' | 'moved' }

/**
 * Another password, if the user is still as judged. Every session ends; the asking one gets a new one in its place,
 * which has proven what its token says.
 *
 * @param version `otp_user.version` as it was when the current password was asked
 * @returns `moved` if the version has
 */
export async function commitPassword (
  db: Db, asking: Asking, passwordHash: string, version: number, newSessionId: string
): Promise<ChangedPassword> {
  return await inTransaction(db, async (tx) => {
    const { table } = tx
    const { userId, sessionId } = asking.standing
    await lockUser(tx, userId)
    const session = committed(await row(tx, sql`
      with ${now},
      asking as (
        select s.*, false as stays
        from ${table.otp_session} s
        join ${table.otp_user} u on u.user_id = s.user_id and u.version = ${version}
        join ${table.account} a on a.id = ${userId}::uuid and a.is_active, now
        where s.user_id = ${userId} and s.id = ${sessionId} and s.ended_at is null and s.expires_at > now.at
        for no key update of s
      ),
      changed as (
        update ${table.account} a set password_hash = ${passwordHash}, updated_at = now.at
        from asking, now where a.id = ${userId}::uuid
        returning ${userId}::text as user_id
      ),
      raised as (
        update ${table.otp_user} u set version = u.version + 1 from changed where u.user_id = changed.user_id
      ),
      ended as (
        update ${table.otp_session} s set ${replacing('password_changed', newSessionId)}
        from changed, asking, now where s.user_id = changed.user_id and s.ended_at is null
        returning s.id
      ),
      ${carriedOn(tx, sql`changed`, asking, newSessionId)},
      ${forgotten(tx, sql`changed`, userId, asking.network)},
      ${event(tx, { userId: sql`changed.user_id`, kind: 'password_changed', sessionId, origin: asking }, sql`changed, now`)}
      ${answered({ kept: false })}`))
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
        update ${table.otp_session} s set ${ending('account_deleted')}, ip = '', agent = '', rotated_network = null
        from asking, now where s.user_id = asking.user_id and s.ended_at is null
        returning s.id
      ),
      emptied as (
        update ${table.otp_session} s set ip = '', agent = '', rotated_network = null from asking where s.user_id = asking.user_id
          and s.ended_at is not null
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
