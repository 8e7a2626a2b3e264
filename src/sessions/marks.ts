import {
  expressionBuilder, sql, type AliasableExpression, type Expression, type QueryCreator, type Selectable
} from 'kysely'
import { withSingleEvent } from '../events/insert.js'
import type { Db, Tables } from '../tables/db.js'
import { statement, type Facts, type Parameters } from '../tables/statement.js'
import { inTransaction } from '../tables/transaction.js'
import {
  clock, currentXid, earlier, later, milliseconds, numberAs, textOf, timeOfSeconds, typed, unixSeconds, withNow, type Now
} from '../tables/values.js'

/*
 * Marks: every session with a proof from before a time has ended, of one user or of all. The time of the first proof is compared,
 * which a session keeps under each of its ids, so that a session that continues at the moment of the mark has ended too.
 * Times of proofs are whole seconds in tokens, so a mark is at a whole second too.
 */

/** `user_id` of the mark of all users. */
export const ALL = ''

const session = expressionBuilder<Tables & { s: Tables['otp_session'], now: Now }, 's' | 'now'>()

/** Condition on a session `s`: no mark has ended it. */
export const isUnmarked = session.not(session.exists(session.selectFrom('otp_revocation as mark')
  .where((eb) => eb('mark.user_id', 'in', [eb.ref('s.user_id'), sql.lit(ALL)]))
  .whereRef('mark.ended_before', '>', 's.auth_at')))

/** Condition: a mark has ended each session of the user with this proof. A proof of unknown age counts as older: 0. */
export const isMarked = ({ userId, authTime }: { userId: string, authTime: number }) => session.exists(session
  .selectFrom('otp_revocation as mark').where((eb) => eb('mark.user_id', 'in', [textOf<string>(userId), sql.lit(ALL)]))
  .where('mark.ended_before', '>', timeOfSeconds(authTime))).$castTo<boolean>()

/**
 * A log-in that waited for the lock of a transaction begins after it, by a clock that was read before. It does not wait for so long.
 * A mark that lies that far back covers none of those.
 */
const WAITING_SECONDS = 10

const wholeSecond = (at: Expression<Date | string>) => session.fn<Date>('date_trunc', [typed<string>('second', 'text'), at])
const endOfSecond = (at: Expression<Date | string>) => later(wholeSecond(at), 1)

type Marking = Tables & { now: Now, when: object }

/** The mark of a user in the CTE `mark`, if `when` has a row. */
const withMarkAt = (
  db: QueryCreator<Marking>, when: string, userId: string, markAt: (at: Expression<Date>) => AliasableExpression<Date>
) => db.with('mark', (db) => db.insertInto('otp_revocation').columns(['user_id', 'ended_before', 'ended_xid'])
  .expression((eb) => eb.selectFrom('now')
    .select((eb) => [textOf(userId).as('user_id'), markAt(eb.ref('now.at')).as('at'), currentXid.as('xid')])
    .where((eb) => eb.exists(eb.selectFrom(when as 'when'))))
  .onConflict((oc) => oc.column('user_id').doUpdateSet((eb) => ({
    ended_before: eb.fn<Date>('greatest', ['otp_revocation.ended_before', 'excluded.ended_before']),
    ended_xid: eb.ref('excluded.ended_xid')
  })))
  .returning('otp_revocation.ended_before'))

/** Marks a user of a host, who is forgotten, in the CTE `mark` beside `now`. */
export function withMark<With> (
  db: QueryCreator<With>, userId: string
): QueryCreator<With & { mark: Pick<Selectable<Tables['otp_revocation']>, 'ended_before'> }> {
  return withMarkAt(db as unknown as QueryCreator<Marking>, 'now', userId, endOfSecond) as never
}

/**
 * Marks a user of the service every session of whom a statement ends, in the CTE `mark` beside `now`, if `when` has a row. It tells
 * services that follow the revocations of sessions without a row, which a failover lost. The sessions of the last seconds, which it
 * does not cover, are named one by one. A host's user gets none: hosts may present sessions that began earlier, and go on.
 *
 * @param when a CTE
 */
export function withMarkBehind<With> (
  db: QueryCreator<With>, { hasAccounts }: Pick<Facts, 'hasAccounts'>, when: keyof With & string, userId: string
): QueryCreator<With> {
  return hasAccounts
    ? withMarkAt(db as unknown as QueryCreator<Marking>, when, userId, (at) => wholeSecond(earlier(at, WAITING_SECONDS))) as never
    : db
}

/** Mark of all users in Unix seconds, for a reading; null if there is none. */
export const endedBefore = ({ table }: Facts) => numberAs(
  sql<number | null>`(select extract(epoch from ended_before) from ${table.otp_revocation} where user_id = ${sql.lit(ALL)})`, 'endedBefore')

const putAll = statement('put_mark_of_all', (db) => db.insertInto('otp_revocation')
  .values({ user_id: ALL, ended_before: typed<string>('epoch', 'timestamptz') })
  .onConflict((oc) => oc.column('user_id').doNothing()))

const lockAll = statement('lock_mark_of_all', (db) => db.selectFrom('otp_revocation')
  .select((eb) => numberAs(unixSeconds(eb.ref('ended_before')), 'endedBefore')).where('user_id', '=', ALL).forUpdate())

const raiseAll = statement('raise_mark_of_all', (db) => withNow(db).updateTable('otp_revocation').from('now')
  .set((eb) => ({ ended_before: eb.fn<Date>('greatest', ['ended_before', endOfSecond(eb.ref('now.at'))]) }))
  .where('user_id', '=', ALL)
  .returning((eb) => [
    numberAs(unixSeconds(eb.ref('ended_before')), 'endedBefore'),
    numberAs(milliseconds(eb('ended_before', '-', eb.ref('now.at')) as unknown as Expression<Date>), 'waitMs')
  ]))

/** Mark that was put, beside the one before it, in Unix seconds. */
export interface MarkOfAll {
  after: number
  endedBefore: number
  /** Milliseconds until the mark lies in the past: proofs from then on are not covered. */
  waitMs: number
}

/** Ends every session of every user, by one row. Each replica refuses them within a second. */
export async function markAll (db: Db): Promise<MarkOfAll> {
  return await inTransaction(db, async (tx) => {
    await putAll.changed(tx)
    const { endedBefore: after } = (await lockAll.first(tx))!
    return { after, ...(await raiseAll.first(tx))! }
  })
}

interface Window { after: number, endedBefore: number }

/** Condition on a session `s`: it lived until the mark, and the mark before had not ended it. */
const isEndedBy = (p: Window) => session.and([
  session('s.ended_at', 'is', null), session('s.expires_at', '>', clock),
  session('s.auth_at', '>=', timeOfSeconds(p.after)), session('s.auth_at', '<', timeOfSeconds(p.endedBefore))
])

const selectCount = statement('count_marked_sessions', (db, p: Parameters<Window>) => db.selectFrom('otp_session as s')
  .select((eb) => eb.cast<number>(eb.fn.countAll(), 'integer').as('sessions')).where(isEndedBy(p)))

/** Counts the sessions that a mark ended, for a progress bar. */
export const countMarked = async (db: Db, mark: Window): Promise<number> => (await selectCount.first(db, mark))!.sessions

/** Users whose events are written in one transaction. */
const PAGE_USERS = 1_000

const writeEvents = statement('write_events_of_mark', (
  db, p: Parameters<Window & { actorId: string, place: string }>, facts
) => withSingleEvent(
  withNow(db).with((cte) => cte('page').materialized(), (db) => db.selectFrom('otp_session as s')
    .select((eb) => ['s.user_id', eb.cast<number>(eb.fn.countAll(), 'integer').as('sessions')])
    .where('s.user_id', '>', p.place).where(isEndedBy(p)).groupBy('s.user_id').orderBy('s.user_id').limit(PAGE_USERS)),
  facts, (db) => db.selectFrom(['page', 'now']), (eb) => ({
    userId: eb.ref('page.user_id'),
    kind: 'session_ended_by_staff',
    sessionId: null,
    ip: '',
    agent: '',
    actorId: p.actorId,
    detail: eb(textOf<string>('all: '), '||', eb.cast<string>('page.sessions', 'text'))
  })
).selectFrom('page').select((eb) => [
  eb.cast<number>(eb.fn.coalesce(eb.fn.sum('page.sessions'), eb.lit(0)), 'integer').as('sessions'),
  eb.cast<number>(eb.fn.countAll(), 'integer').as('users'), eb.fn.max('page.user_id').as('last')
]))

export interface MarkedPage {
  sessions: number
  users: number
  /** Start of the next page; null after the last page. */
  next: string | null
}

/**
 * Writes an event for each user whose sessions a mark ended, one page of users.
 *
 * @param place `next` of the page before; empty for the first
 */
export async function writeEventsOfMark (db: Db, { after, endedBefore }: Window, actorId: string, place: string): Promise<MarkedPage> {
  const { sessions, users, last } = (await writeEvents.first(db, { after, endedBefore, actorId, place }))!
  return { sessions, users, next: users < PAGE_USERS ? null : last }
}
