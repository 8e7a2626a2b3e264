import { expressionBuilder } from 'kysely'
import type { Requester } from '../core/session.js'
import { byRequester, requesterValues, withEvent, type RequesterValues } from '../events/insert.js'
import { withCount } from './ending.js'
import { endedFor, endedIds, isAlive, selectLiving } from './statements.js'
import type { Db, Tables } from '../tables/db.js'
import { inTransaction, lockUser } from '../tables/transaction.js'
import { statement, type Parameters } from '../tables/statement.js'
import { earlier, timeAs, withNow, type Now } from '../tables/values.js'

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

type Ending = RequesterValues & { id: string, idleSeconds: number }

const endListed = statement('end_listed_session', (db, p: Parameters<Ending>, facts) => withEvent(
  withNow(db).with('requester', (db) => selectLiving(db, p))
    .with('ended', (db) => db.updateTable('otp_session as s').from(['requester', 'now']).set(endedFor('session_ended'))
      .whereRef('s.user_id', '=', 'requester.user_id').where('s.id', '=', p.id).where(isLiving(p.idleSeconds)).returning('s.id')),
  facts, (db) => db.selectFrom(['ended', 'now']), (eb) => ({ ...byRequester(p), kind: 'session_ended', detail: eb.ref('ended.id') })
).selectNoFrom((eb) => [
  eb.exists(eb.selectFrom('requester')).$castTo<boolean>().as('alive'), eb.exists(eb.selectFrom('ended')).$castTo<boolean>().as('ended')
]))

/** Ends one of the user's sessions; the event names it. The requester's session may end itself. */
export async function endListedSession (
  db: Db,
  requester: Requester,
  id: string,
  idleSeconds: number
): Promise<'ended' | 'session_ended' | 'not_found'> {
  const found = await endListed.first(db, { ...requesterValues(requester), id, idleSeconds })
  if (!found!.alive) return 'session_ended'
  return found!.ended ? 'ended' : 'not_found'
}

const endOthers = statement('end_other_sessions', (db, p: Parameters<RequesterValues>, facts) => withEvent(
  withNow(db).with('requester', (db) => selectLiving(db, p))
    .with('ended', (db) => db.updateTable('otp_session as s').from(['requester', 'now']).set(endedFor('session_ended'))
      .whereRef('s.user_id', '=', 'requester.user_id').whereRef('s.id', '<>', 'requester.id').where('s.ended_at', 'is', null)
      .returning('s.id')),
  facts, (db) => db.selectFrom(['requester', 'now']).where((eb) => eb.exists(eb.selectFrom('ended'))), () => ({
    ...byRequester(p), kind: 'session_ended', detail: withCount('all others: ')
  })
).selectFrom('requester').select(endedIds))

/**
 * Ends all sessions except the requester's, with one event. It locks the user first. Otherwise a session that another
 * request verifies at the same time would stay alive under its new id.
 *
 * @returns the ids of the ended sessions; null if the requester's session had ended
 */
export async function endOtherSessions (db: Db, requester: Requester): Promise<string[] | null> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, requester.context.userId)
    return (await endOthers.first(tx, requesterValues(requester)))?.endedIds ?? null
  })
}
