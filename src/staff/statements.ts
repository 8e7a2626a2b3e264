import type { Expression, ExpressionBuilder, QueryCreator } from 'kysely'
import type { EventKind } from '../events/kinds.js'
import type { Origin } from '../core/session.js'
import { hasFactor, withForgotten } from '../budgets/known-networks.js'
import { clearedCounts } from '../factors/lockout-statements.js'
import { withReset, type Setup } from '../factors/reset.js'
import { withSingleEvent } from '../events/insert.js'
import { withEnded } from '../sessions/ending.js'
import { withMarkBehind } from '../sessions/marks.js'
import { endedIds, isAlive } from '../sessions/statements.js'
import type { Db } from '../tables/db.js'
import { statement, type Facts, type Parameters } from '../tables/statement.js'
import { inTransaction, lockUsers, type Tx } from '../tables/transaction.js'
import { textOf, timeAs, typed, uuidOf, withNow } from '../tables/values.js'

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

/** Values of a statement that changes an account for an actor. */
export interface ActorValues { userId: string, actorId: string, actorSessionId: string | null, ip: string, agent: string }

export const actorValues = (actor: Actor, userId: string): ActorValues =>
  ({ userId, actorId: actor.id, actorSessionId: actor.sessionId, ip: actor.ip, agent: actor.agent })

/** Kinds of the user's event and of the event of the member of staff, and a detail of both: over `from` if it is a function. */
interface Kinds<From> {
  kind: EventKind
  notified: EventKind
  detail: string | null | ((eb: ExpressionBuilder<From, keyof From>) => Expression<string>)
}

/**
 * Writes two events for one decision, both from the row of `from`. The user's event has the actor and the reason, but not
 * the address; the event of the member of staff names the user.
 *
 * @param from a CTE
 */
export function withEvents<With, From extends keyof With & string> (
  db: QueryCreator<With>, facts: Facts, p: ActorValues, { kind, notified, detail }: Kinds<Pick<With, From>>, from: From
): QueryCreator<With> {
  type Rows = QueryCreator<{ from: object, now: object }>
  const rows = (db: QueryCreator<With>) => (db as unknown as Rows).selectFrom([from as 'from', 'now'])
  const detailOf = (eb: unknown) => typeof detail === 'function' ? detail(eb as ExpressionBuilder<Pick<With, From>, From>) : detail
  const ofUser = withSingleEvent(db, facts, rows, (eb) =>
    ({ userId: p.userId, kind, sessionId: null, ip: '', agent: '', actorId: p.actorId, detail: detailOf(eb) }))
  return withSingleEvent(ofUser, facts, (db) => rows(db).where(textOf(p.actorSessionId), 'is not', null), (eb) => {
    const subject = notified === 'staff_acted' ? eb(textOf<string>(`${kind} `), '||', textOf(p.userId)) : textOf(p.userId)
    return {
      userId: p.actorId,
      kind: notified,
      sessionId: p.actorSessionId,
      ip: p.ip,
      agent: p.agent,
      detail: eb.fn<string>('concat_ws', [textOf(': '), subject, textOf(detailOf(eb))])
    }
  }, 'notified')
}

type Reset = Setup & { reason: string }

const reset = statement('reset_by_staff', (db, p: Parameters<ActorValues & Reset>, facts) => {
  const ended = withForgotten(withReset(withNow(db), facts, p.userId, p), 'raised', p.userId)
  return withEvents(ended, facts, p, { kind: 'otp_reset', notified: 'otp_reset_issued', detail: p.reason }, 'raised')
    .selectFrom('raised').select((eb) => [timeAs(eb.ref('raised.setup_expires_at').$notNull(), 'expiresAt'), endedIds])
})

/** Deletes devices and codes, ends every session, and requires a set-up code. Returns the time until which the code is valid. */
export async function resetFactors (db: Db, actor: Actor, userId: string, { digest, seconds, reason }: Reset): Promise<Changed<Date>> {
  return await asStaff(db, actor, userId, async (tx) => {
    const { endedIds, expiresAt } = (await reset.first(tx, { ...actorValues(actor, userId), digest, seconds, reason }))!
    return { endedIds, value: expiresAt }
  }, { sparesStaff: true })
}

type WithReason = ActorValues & { reason: string | null }

const activation = (isActive: boolean) => {
  const kind = isActive ? 'reactivated' : 'deactivated'
  return statement(kind, (db, p: Parameters<WithReason>, facts) => {
    const changed = withNow(db)
      .with('changed', (db) => db.updateTable('account as a').from('now')
        .set((eb) => ({ is_active: isActive, updated_at: eb.ref('now.at') }))
        .where('a.id', '=', uuidOf(p.userId)).where('a.is_active', '<>', isActive).returning('a.id'))
      .with('raised', (db) => db.updateTable('otp_user as u').from('changed')
        .set((eb) => ({ version: eb('u.version', '+', 1) })).where('u.user_id', '=', p.userId))
    const marked = isActive ? changed : withMarkBehind(changed, facts, 'changed', p.userId)
    const ended = withEnded(marked, 'changed', p.userId, kind, typed(!isActive, 'boolean'))
    return withEvents(ended, facts, p, { kind, notified: 'staff_acted', detail: p.reason }, 'changed').selectFrom('now').select(endedIds)
  })
}
const [reactivate, deactivate] = [activation(true), activation(false)]

/** Deactivates or reactivates an account. A repeated change leaves no event. */
export async function setActive (db: Db, actor: Actor, userId: string, isActive: boolean, reason: string | null): Promise<Changed> {
  return await asStaff(db, actor, userId, async (tx) => {
    const { endedIds } = (await (isActive ? reactivate : deactivate).first(tx, { ...actorValues(actor, userId), reason }))!
    return { endedIds, value: null }
  })
}

/** Result of a change of `is_staff`: changed, equal, or refused because a new member of staff has no factor. */
export type StaffChange = 'changed' | 'unchanged' | 'no_factor'

const appointment = (isStaff: boolean) => statement(isStaff ? 'promote' : 'demote', (db, p: Parameters<WithReason>, facts) => {
  const changed = withNow(db)
    .with('context', (db) => db.selectFrom('account as a').innerJoin('otp_user as u', (join) => join.on('u.user_id', '=', p.userId))
      .select((eb) => ['a.id', eb('a.is_staff', '<>', isStaff).$castTo<boolean>().as('differs'), hasFactor.as('has_factor')])
      .where('a.id', '=', uuidOf(p.userId)))
    .with('changed', (db) => db.updateTable('account as a').from(['context', 'now'])
      .set((eb) => ({ is_staff: isStaff, updated_at: eb.ref('now.at') }))
      .whereRef('a.id', '=', 'context.id').where('context.differs', '=', true)
      .$if(isStaff, (query) => query.where('context.has_factor', '=', true)).returning('a.id'))
  return withEvents(changed, facts, p, { kind: isStaff ? 'promoted' : 'demoted', notified: 'staff_acted', detail: p.reason }, 'changed')
    .selectFrom('context').select((eb) => eb.case().when(eb.exists(eb.selectFrom('changed'))).then('changed')
      .when('context.differs', '=', true).then('no_factor').else('unchanged').end().$castTo<StaffChange>().as('outcome'))
})
const [promote, demote] = [appointment(true), appointment(false)]

/**
 * Adds or removes the staff role, from the next request on. Staff need a second factor or a pending set-up code: a password
 * alone is not enough.
 */
export async function setStaff (db: Db, actor: Actor, userId: string, isStaff: boolean, reason: string): Promise<Changed<StaffChange>> {
  return await asStaff(db, actor, userId, async (tx) => {
    const { outcome } = (await (isStaff ? promote : demote).first(tx, { ...actorValues(actor, userId), reason }))!
    return { endedIds: [], value: outcome }
  })
}

const clearCounts = statement('unlock', (db, p: Parameters<ActorValues>, facts) => withEvents(withNow(db)
  .with('released', (db) => db.updateTable('otp_user').set(clearedCounts).where('user_id', '=', p.userId).returning('user_id')),
facts, p, { kind: 'unlocked', notified: 'staff_acted', detail: null }, 'released').selectFrom('released').select('user_id'))

/** Resets the count of wrong codes. Ends no session and changes no factor. */
export async function unlock (db: Db, actor: Actor, userId: string): Promise<Changed> {
  return await asStaff(db, actor, userId, async (tx) => {
    await clearCounts.first(tx, actorValues(actor, userId))
    return { endedIds: [], value: null }
  })
}

/** An absent field stays; null removes it. */
export interface References {
  powerAccountId?: number | null
  powerContactId?: number | null
}

interface ReferenceValues {
  detail: string
  changesAccount: boolean
  account: number | null
  changesContact: boolean
  contact: number | null
}

const setReferences = statement('change_references', (db, p: Parameters<ActorValues & ReferenceValues>, facts) => withEvents(withNow(db)
  .with('changed', (db) => db.updateTable('account as a').from('now')
    .set((eb) => ({
      updated_at: eb.ref('now.at'),
      power_account_id: eb.case().when(typed(p.changesAccount, 'boolean')).then(typed(p.account, 'integer'))
        .else(eb.ref('a.power_account_id')).end(),
      power_contact_id: eb.case().when(typed(p.changesContact, 'boolean')).then(typed(p.contact, 'integer'))
        .else(eb.ref('a.power_contact_id')).end()
    }))
    .where('a.id', '=', p.userId).returning('a.id')),
facts, p, { kind: 'references_changed', notified: 'staff_acted', detail: p.detail }, 'changed').selectFrom('changed').select('id'))

export async function changeReferences (
  db: Db, actor: Actor, userId: string, { powerAccountId, powerContactId }: References
): Promise<Changed> {
  return await asStaff(db, actor, userId, async (tx) => {
    const detail = [
      ...(powerAccountId === undefined ? [] : [`powerAccountId ${powerAccountId ?? 'none'}`]),
      ...(powerContactId === undefined ? [] : [`powerContactId ${powerContactId ?? 'none'}`])
    ].join(', ')
    await setReferences.first(tx, {
      ...actorValues(actor, userId),
      detail,
      changesAccount: powerAccountId !== undefined,
      account: powerAccountId ?? null,
      changesContact: powerContactId !== undefined,
      contact: powerContactId ?? null
    })
    return { endedIds: [], value: null }
  })
}
