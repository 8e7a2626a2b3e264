import { expressionBuilder, sql } from 'kysely'
import type { Requester } from '../core/session.js'
import { event } from '../events/insert.js'
import { endedIds, ending, isAlive, livingSession } from './statements.js'
import { row, type Db, type Tables } from '../tables/db.js'
import { inTransaction, lockUser } from '../tables/transaction.js'
import { statement, type Parameters } from '../tables/statement.js'
import { earlier, now, timeAs, withNow, type Now } from '../tables/values.js'

export interface ListedSession {
  id: string
  ip: string
  agent: string
  startedAt: Date
  /** Time when its tokens were last refreshed or issued. */
  lastSeenAt: Date
  expiresAt: Date
  isVerified: boolean
}

/** Limits the size of the answer: the number of sessions grows with each login. */
const MOST_LISTED = 200

const session = expressionBuilder<{ s: Tables['otp_session'], now: Now }, 's' | 'now'>()
/** Time when its newest tokens were issued, by a refresh or for a proof. */
const seenAt = session.fn<Date>('greatest', ['s.rotated_at', 's.otp_at'])

/** Condition: not ended, not expired, not idle too long; its refresh token would still be accepted. Beside `now`. */
const isLiving = (idleSeconds: number) => session.and([isAlive, session(seenAt, '>', earlier(session.ref('now.at'), idleSeconds))])

const selectSessions = statement('list_sessions', (db, p: Parameters<{ userId: string, idleSeconds: number }>) => withNow(db)
  .selectFrom(['otp_session as s', 'now'])
  .select((eb) => [
    's.id', 's.ip', 's.agent', timeAs(eb.ref('s.started_at'), 'startedAt'), timeAs(seenAt, 'lastSeenAt'),
    timeAs(eb.ref('s.expires_at'), 'expiresAt'), eb('s.otp_device_id', 'is not', null).$castTo<boolean>().as('isVerified')
  ])
  .where('s.user_id', '=', p.userId).where(isLiving(p.idleSeconds))
  .orderBy(seenAt, 'desc').orderBy('s.id').limit(MOST_LISTED))

/** Returns a user's living sessions, the last seen first, at most `MOST_LISTED`. */
export const listSessions = async (db: Db, userId: string, idleSeconds: number): Promise<ListedSession[]> =>
  await selectSessions.all(db, { userId, idleSeconds })

/** Ends one of the user's sessions; the event names it. The requester's session may end itself. */
export async function endListedSession (
  db: Db,
  requester: Requester,
  id: string,
  idleSeconds: number
): Promise<'ended' | 'session_ended' | 'not_found'> {
  const { table } = db
  const { userId, sessionId } = requester.context
  const found = await row<{ alive: boolean, ended: boolean }>(db, sql`
    with ${now},
    requester as (${livingSession(db, requester)}),
    ended as (
      update ${table.otp_session} s set ${ending('session_ended')} from requester, now
      where s.user_id = requester.user_id and s.id = ${id} and ${isLiving(idleSeconds)}
      returning s.id
    ),
    ${event(db, {
      userId: sql`${userId}`, kind: 'session_ended', sessionId, origin: requester, detail: sql`ended.id`
    }, sql`ended, now`)}
    select exists (select from requester) as alive, exists (select from ended) as ended`)
  if (!found!.alive) return 'session_ended'
  return found!.ended ? 'ended' : 'not_found'
}

/**
 * Ends all sessions except the requester's, with one event. It locks the user first. Otherwise a session that another
 * request verifies at the same time would stay alive under its new id.
 *
 * @returns the ids of the ended sessions; null if the requester's session had ended
 */
export async function endOtherSessions (db: Db, requester: Requester): Promise<string[] | null> {
  return await inTransaction(db, async (tx) => {
    const { table } = tx
    const { userId, sessionId } = requester.context
    await lockUser(tx, userId)
    const found = await row<{ endedIds: string[] }>(tx, sql`
      with ${now},
      requester as (${livingSession(tx, requester)}),
      ended as (
        update ${table.otp_session} s set ${ending('session_ended')} from requester, now
        where s.user_id = requester.user_id and s.id <> requester.id and s.ended_at is null
        returning s.id
      ),
      ${event(tx, {
        userId: sql`${userId}`,
        kind: 'session_ended',
        sessionId,
        origin: requester,
        detail: sql`'all others: ' || (select count(*) from ended)`
      }, sql`requester, now where exists (select from ended)`)}
      select ${endedIds} from requester`)
    return found?.endedIds ?? null
  })
}
