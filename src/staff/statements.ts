import { sql, type RawBuilder } from 'kysely'
import type { EventKind } from '../events/kinds.js'
import type { Origin } from '../core/session.js'
import { forgotten } from '../budgets/known-networks.js'
import { countsCleared } from '../factors/lockout-statements.js'
import { singleEvent } from '../events/insert.js'
import { endedIds, ending, isAlive } from '../sessions/statements.js'
import { row, type Db } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { inTransaction, lockUsers, type Tx } from '../tables/transaction.js'
import { now, timeAs, withNow } from '../tables/values.js'

/** Actor of a change to another account: a member of staff in a session, or (without a session) the command line. */
export interface Actor extends Origin {
  id: string
  sessionId: string | null
}

export type Changed<Value = null> =
  | { outcome: 'done', endedIds: string[], value: Value }
  /** The account does not exist; it is protected as staff; the acting session has ended; or its user is not staff any more. */
  | { outcome: 'not_found' | 'protected' | 'session_ended' | 'not_staff' }

const selectStaff = statement('is_staff', (db, p: Parameters<{ userId: string }>) => db.selectFrom('account')

  .select((eb) => eb.and([eb('is_staff', '=', true), eb('is_active', '=', true)]).$castTo<boolean>().as('isStaff'))
  .where('id', '=', p.userId))

/** Returns true if the user is staff now. Read on each request, so that a demotion takes effect at once. */
export const isStaff = async (db: Db, userId: string): Promise<boolean> => (await selectStaff.first(db, { userId }))?.isStaff === true

const readPermission = statement('read_permission', (db, p: Parameters<{ actorId: string, sessionId: string | null, userId: string }>) =>
  withNow(db).selectFrom('now').leftJoin('account as a', (join) => join.on('a.id', '=', p.userId)).select((eb) => {
    const isCommandLine = eb(eb.cast(eb.val(p.sessionId), 'text'), 'is', null)
    return [
      eb.and([eb.not(isCommandLine), eb.not(eb.exists(eb.selectFrom('otp_session as s')
        .where('s.user_id', '=', p.actorId).where('s.id', '=', eb.val(p.sessionId)).where(isAlive)))]).$castTo<boolean>().as('isOver'),
      eb.or([isCommandLine, eb.exists(eb.selectFrom('account as b')
        .where((eb) => eb(eb.cast<string>('b.id', 'text'), '=', p.actorId))
        .where('b.is_staff', '=', true).where('b.is_active', '=', true))])
        .$castTo<boolean>().as('isStaff'),
      eb('a.id', 'is not', null).$castTo<boolean>().as('isThere'), eb.fn.coalesce('a.is_staff', eb.lit(false)).as('isOfStaff')
    ]
  }))

/**
 * Runs a change of another account under the locks of both accounts, always taken in one order. If two members of staff act
 * on each other at once, the second one sees the result of the first.
 */
export async function asStaff<Value> (
  db: Db, actor: Actor, userId: string, change: (tx: Tx) => Promise<{ endedIds: string[], value: Value }>, { sparesStaff = false } = {}
): Promise<Changed<Value>> {
  return await inTransaction(db, async (tx) => {
    // Not an upsert as for the requester: the id in the path may not exist, and must not leave a row.
    await lockUsers.all(tx, { userIds: [userId, actor.id] })
    const permission = await readPermission.first(tx, { actorId: actor.id, sessionId: actor.sessionId, userId })
    const { isOver, isStaff, isThere, isOfStaff } = permission!
    if (isOver) return { outcome: 'session_ended' }
    if (!isStaff) return { outcome: 'not_staff' }
    if (!isThere) return { outcome: 'not_found' }
    if (isOfStaff && sparesStaff && actor.sessionId !== null) return { outcome: 'protected' }
    return { outcome: 'done', ...await change(tx) }
  })
}

/**
 * Writes two events for one decision, both from the row of `from`. The user's event has the actor and the reason, but not
 * the address; the event of the member of staff names the user.
 */
export function events (
  tx: Tx, actor: Actor, userId: string, kind: EventKind, notified: EventKind,
  detail: string | RawBuilder<unknown> | null, from: RawBuilder<unknown>
): RawBuilder<unknown> {
  const what = notified === 'staff_acted' ? `${kind} ${userId}` : userId
  const notifiedDetail = detail === null ? what : sql`${`${what}: `}::text || ${detail}::text`
  return sql`
    ${singleEvent(tx, {
      userId: sql`${userId}`,
      kind,
      sessionId: null,
      origin: { ip: '', agent: '' },
      actorId: actor.id,
      ...(detail === null ? {} : { detail })
    }, sql`${from}, now`)},
    ${singleEvent(tx, {
      userId: sql`${actor.id}`, kind: notified, sessionId: actor.sessionId, origin: actor, detail: notifiedDetail
    }, sql`${from}, now where ${actor.sessionId}::text is not null`, 'notified')}`
}

export interface Reset {
  /** Digest and lifetime in seconds of the set-up code. */
  digest: string
  seconds: number
  reason: string
}

/** Deletes devices and codes, ends every session, and requires a set-up code. Returns the time until which the code is valid. */
export async function resetFactors (db: Db, actor: Actor, userId: string, { digest, seconds, reason }: Reset): Promise<Changed<Date>> {
  return await asStaff(db, actor, userId, async (tx) => {
    const { table } = tx
    const found = await row<{ expiresAt: Date, endedIds: string[] }>(tx, sql`
      with ${now},
      raised as (
        update ${table.otp_user} u set version = u.version + 1, ${countsCleared},
          setup_required = true, setup_digest = ${digest}, setup_expires_at = now.at + make_interval(secs => ${seconds})
        from now where u.user_id = ${userId}
        returning u.setup_expires_at
      ),
      devices as (delete from ${table.otp_device} d where d.user_id = ${userId}),
      codes as (delete from ${table.otp_recovery_code} c where c.user_id = ${userId}),
      ended as (
        update ${table.otp_session} s set ${ending('otp_reset')} from now where s.user_id = ${userId} and s.ended_at is null
        returning s.id
      ),
      ${forgotten(tx, sql`raised`, userId)},
      ${events(tx, actor, userId, 'otp_reset', 'otp_reset_issued', reason, sql`raised`)}
      select ${timeAs(sql`setup_expires_at`, 'expiresAt')}, ${endedIds} from raised`)
    return { endedIds: found!.endedIds, value: found!.expiresAt }
  }, { sparesStaff: true })
}

/** Deactivates or reactivates an account. A repeated change leaves no event. */
export async function setActive (db: Db, actor: Actor, userId: string, isActive: boolean, reason: string | null): Promise<Changed> {
  return await asStaff(db, actor, userId, async (tx) => {
    const { table } = tx
    const kind = isActive ? 'reactivated' : 'deactivated'
    const found = await row<{ endedIds: string[] }>(tx, sql`
      with ${now},
      changed as (
        update ${table.account} a set is_active = ${isActive}, updated_at = now.at from now
        where a.id = ${userId}::uuid and a.is_active <> ${isActive}
        returning a.id
      ),
      raised as (
        update ${table.otp_user} u set version = u.version + 1 from changed where u.user_id = ${userId}
      ),
      ended as (
        update ${table.otp_session} s set ${ending(kind)} from changed, now
        where s.user_id = ${userId} and s.ended_at is null and not ${isActive}
        returning s.id
      ),
      ${events(tx, actor, userId, kind, 'staff_acted', reason, sql`changed`)}
      select ${endedIds} from now`)
    return { endedIds: found!.endedIds, value: null }
  })
}

/** Result of a change of `is_staff`: changed, equal, or refused because a new member of staff has no factor. */
export type StaffChange = 'changed' | 'unchanged' | 'no_factor'

/**
 * Adds or removes the staff role, from the next request on. Staff need a second factor or a pending set-up code: a password
 * alone is not enough.
 */
export async function setStaff (db: Db, actor: Actor, userId: string, isStaff: boolean, reason: string): Promise<Changed<StaffChange>> {
  return await asStaff(db, actor, userId, async (tx) => {
    const { table } = tx
    const found = await row<{ outcome: StaffChange }>(tx, sql`
      with ${now},
      context as (
        select a.id, a.is_staff <> ${isStaff} as differs,
          u.setup_required or exists (
            select from ${table.otp_device} d where d.user_id = u.user_id and d.confirmed_at is not null
          ) as "hasFactor"
        from ${table.account} a join ${table.otp_user} u on u.user_id = a.id::text where a.id = ${userId}::uuid
      ),
      changed as (
        update ${table.account} a set is_staff = ${isStaff}, updated_at = now.at from context s, now
        where a.id = s.id and s.differs and (s."hasFactor" or not ${isStaff})
        returning a.id
      ),
      ${events(tx, actor, userId, isStaff ? 'promoted' : 'demoted', 'staff_acted', reason, sql`changed`)}
      select case when exists (select from changed) then 'changed' when differs then 'no_factor' else 'unchanged' end as outcome
      from context`)
    return { endedIds: [], value: found!.outcome }
  })
}

/** Resets the count of wrong codes. Ends no session and changes no factor. */
export async function unlock (db: Db, actor: Actor, userId: string): Promise<Changed> {
  return await asStaff(db, actor, userId, async (tx) => {
    const { table } = tx
    await row(tx, sql`
      with ${now},
      released as (
        update ${table.otp_user} u set ${countsCleared} where u.user_id = ${userId} returning u.user_id
      ),
      ${events(tx, actor, userId, 'unlocked', 'staff_acted', null, sql`released`)}
      select user_id from released`)
    return { endedIds: [], value: null }
  })
}

/** An absent field stays; null removes it. */
export interface References {
  powerAccountId?: number | null
  powerContactId?: number | null
}

export async function changeReferences (
  db: Db, actor: Actor, userId: string, { powerAccountId, powerContactId }: References
): Promise<Changed> {
  return await asStaff(db, actor, userId, async (tx) => {
    const { table } = tx
    const detail = [
      ...(powerAccountId === undefined ? [] : [`powerAccountId ${powerAccountId ?? 'none'}`]),
      ...(powerContactId === undefined ? [] : [`powerContactId ${powerContactId ?? 'none'}`])
    ].join(', ')
    await row(tx, sql`
      with ${now},
      changed as (
        update ${table.account} a set updated_at = now.at,
          power_account_id = case when ${powerAccountId !== undefined} then ${powerAccountId ?? null}::int else a.power_account_id end,
          power_contact_id = case when ${powerContactId !== undefined} then ${powerContactId ?? null}::int else a.power_contact_id end
        from now where a.id = ${userId}::uuid
        returning a.id
      ),
      ${events(tx, actor, userId, 'references_changed', 'staff_acted', detail, sql`changed`)}
      select id from changed`)
    return { endedIds: [], value: null }
  })
}
