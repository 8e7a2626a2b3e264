import { actorValues, asStaff, withEvents, type Actor, type ActorValues, type Changed } from './statements.js'
import { endingSession, withEnded } from '../sessions/ending.js'
import { withMarkBehind } from '../sessions/marks.js'
import { endedIds, isAlive } from '../sessions/statements.js'
import { textOf, withNow } from '../tables/values.js'
import type { Db } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'

const KIND = 'session_ended_by_staff'

const end = statement('end_sessions_by_staff', (db, p: Parameters<ActorValues & { one: string | null }>, facts) => {
  const which = endingSession.and([isAlive, endingSession.or([
    endingSession(textOf(p.one), 'is', null), endingSession('s.id', '=', p.one as string)
  ])])
  const all = withNow(db).with('all', (db) => db.selectFrom('now').select('now.at').where(textOf(p.one), 'is', null))
  const acted = withEnded(withMarkBehind(all, facts, 'all', p.userId), 'now', p.userId, KIND, which)
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
