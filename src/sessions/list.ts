import { sql } from 'kysely'
import type { Requester } from '../core/session.js'
import { event } from '../events/insert.js'
import { endedIds, ending, livingSession } from './statements.js'
import { now } from '../tables/values.js'
import { row, rows, type Db } from '../tables/db.js'
import { inTransaction, lockUser } from '../tables/transaction.js'
import { timeAs } from '../tables/values.js'

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

/** Time when its newest tokens were issued, by a refresh or for a proof. */
const seenAt = sql`greatest(s.rotated_at, s.otp_at)`

/** Condition: not ended, not expired, not idle too long; its refresh token would still be accepted. Beside `now`. */
const isLiving = (idleSeconds: number) => sql`
  s.ended_at is null and s.expires_at > now.at and ${seenAt} > now.at - make_interval(secs => ${idleSeconds})`

/** Returns a user's living sessions, the last seen first, at most `MOST_LISTED`. */
export async function listSessions (db: Db, userId: string, idleSeconds: number): Promise<ListedSession[]> {
  const { table } = db
  return await rows<ListedSession>(db, sql`
    with ${now}
    select s.id, s.ip, s.agent, ${timeAs(sql`s.started_at`, 'startedAt')}, ${timeAs(seenAt, 'lastSeenAt')},
      ${timeAs(sql`s.expires_at`, 'expiresAt')},
      s.otp_device_id is not null as "isVerified"
    from ${table.otp_session} s, now where s.user_id = ${userId} and ${isLiving(idleSeconds)}
    order by ${seenAt} desc, s.id limit ${MOST_LISTED}`)
}

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
