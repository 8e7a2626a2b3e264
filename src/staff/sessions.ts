import { sql } from 'kysely'
import { actorValues, asStaff, withEvents, type Actor, type ActorValues, type Changed } from './statements.js'
import { singleEvent } from '../events/insert.js'
import { endingSession, withEnded } from '../sessions/ending.js'
import { endedIds, ending, isAlive } from '../sessions/statements.js'
import { clock, now, textOf, withNow } from '../tables/values.js'
import { row, type Db } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { inTransaction, lockUsers } from '../tables/transaction.js'

const KIND = 'session_ended_by_staff'
/** The command line has no address. */
const NOWHERE = { ip: '', agent: '' }

const end = statement('end_sessions_by_staff', (db, p: Parameters<ActorValues & { one: string | null }>, facts) => {
  const which = endingSession.and([isAlive, endingSession.or([
    endingSession(textOf(p.one), 'is', null), endingSession('s.id', '=', p.one as string)
  ])])
  const acted = withEnded(withNow(db), 'now', p.userId, KIND, which)
    .with('acted', (db) => db.selectFrom('ended').select((eb) => eb.fn.countAll().as('sessions')).having((eb) => eb.fn.countAll(), '>', 0))
  return withEvents(acted, facts, p, {
    kind: KIND,
    notified: 'staff_acted',
    detail: (eb) => eb.fn.coalesce(textOf(p.one), eb.fn<string>('concat', [textOf('all: '), 'acted.sessions']))
  }, 'acted').selectFrom('now').select(endedIds)
})

/**
 * Ends one session of a user, or all of them, in one decision. Writes one event for the user and one for the member of
 * staff, and none if no session ended.
 *
 * @param sessionId null for all
 */
export async function endSessions (db: Db, actor: Actor, userId: string, sessionId: string | null): Promise<Changed> {
  return await asStaff(db, actor, userId, async (tx) => {
    const { endedIds } = (await end.first(tx, { ...actorValues(actor, userId), one: sessionId }))!
    return { endedIds, value: null }
  })
}

/** Number of sessions ended in one transaction, so that no lock is held for long. */
const PAGE_SESSIONS = 1_000

export interface EndedPage {
  sessions: number
  users: number
  /** Start of the next page; null after the last page. */
  next: string | null
}

/** Users of the next page of live sessions. */
const selectUsers = statement('users_of_sessions', (db, p: Parameters<{ after: string }>) => db
  .selectFrom((eb) => eb.selectFrom('otp_session as s').select('s.user_id')
    .where('s.ended_at', 'is', null).where('s.expires_at', '>', clock).where('s.user_id', '>', p.after)
    .orderBy('s.user_id').limit(PAGE_SESSIONS).as('page'))
  .distinct().select('user_id as userId').orderBy('user_id'))

/**
 * Ends the sessions of every user, one page at a time, in the order of the users' ids. Sessions that begin in the meantime
 * are not included. The users' locks are taken first, so that a concurrent verification cannot keep a session alive as a
 * new one.
 *
 * @param after `next` of the page before; empty for the first
 */
export async function endPageOfAll (db: Db, actorId: string, after: string): Promise<EndedPage> {
  return await inTransaction(db, async (tx) => {
    const { table } = tx
    const users = (await selectUsers.all(tx, { after })).map(({ userId }) => userId)
    const last = users.at(-1)
    if (last === undefined) return { sessions: 0, users: 0, next: null }
    await lockUsers.all(tx, { userIds: users })
    const found = await row<{ seen: number, sessions: number, users: number }>(tx, sql`
      with ${now},
      living as materialized (
        select s.user_id, s.id from ${table.otp_session} s, now
        where s.user_id = any(${users}::text[]) and s.ended_at is null and s.expires_at > now.at limit ${PAGE_SESSIONS}
      ),
      ended as (
        update ${table.otp_session} s set ${ending(KIND)} from living, now
        where s.user_id = living.user_id and s.id = living.id and s.ended_at is null
        returning s.user_id
      ),
      by_user as (select user_id, count(*) as sessions from ended group by user_id),
      ${singleEvent(tx, {
        userId: sql`by_user.user_id`, kind: KIND, sessionId: null, origin: NOWHERE, actorId, detail: sql`('all: ' || by_user.sessions)`
      }, sql`by_user, now`)}
      select (select count(*) from living)::int as seen, coalesce(sum(sessions), 0)::int as sessions, count(*)::int as users from by_user`)
    // A full page may have left sessions of these users, so the next page begins with them again.
    return { sessions: found!.sessions, users: found!.users, next: found!.seen === PAGE_SESSIONS ? after : last }
  })
}

const selectCount = statement('count_sessions', (db) => db.selectFrom('otp_session')
  .select((eb) => eb.cast<number>(eb.fn.countAll(), 'integer').as('living'))
  .where('ended_at', 'is', null).where('expires_at', '>', clock))

/** Counts the live sessions, for a progress bar. */
export const countSessions = async (db: Db): Promise<number> => (await selectCount.first(db))!.living
