import { expressionBuilder } from 'kysely'
import { isWritable, serverStart } from '../../tables/primary.js'
import type { Tables } from '../../tables/db.js'
import { statement, type Parameters } from '../../tables/statement.js'
import { clock, earlier, jsonAs, later, textOf, timeOfSeconds, typed, unixSeconds } from '../../tables/values.js'
import type { MarkedUser } from '../revocations/revocations.js'

/** Sessions of one page: few enough that a page is read well within the time of a statement. */
export const PAGE_SESSIONS = 5_000
/** After a failover, rows may have times of a server whose clock was ahead. */
const AHEAD_SECONDS = 60

/** Last session of a page, in the order of the pages; `at` in Unix seconds. */
export interface PagePlace { at: number, userId: string, sessionId: string }

const row = expressionBuilder<Tables, 'otp_session'>()
const over = row.fn.coalesce('ended_at', 'expires_at')

/**
 * A page of the sessions that ended within some seconds, oldest first, after a place; null for none. `place` tells databases and
 * schemas of one server apart. The range is over the expression of the index
 * `otp_session_over`, which has living sessions too, by their expiry: hence its upper end.
 */
export const selectRecent = statement('read_recent_ends', (db, p: Parameters<{ withinSeconds: number } & PagePlace>) => {
  const from = timeOfSeconds(p.at)
  const isAfter = row.or([
    row(over, '>', from),
    row.and([row(over, '=', from), row('user_id', '>', textOf(p.userId))]),
    row.and([row(over, '=', from), row('user_id', '=', textOf(p.userId)), row('id', '>', textOf(p.sessionId))])
  ])
  return db
    .with('page', (db) => db.selectFrom('otp_session')
      .select((eb) => [unixSeconds(eb.ref('ended_at')).as('at'), 'user_id as userId', 'id as sessionId'])
      .where('ended_at', 'is not', null)
      .where(over, '>=', earlier(clock, typed(p.withinSeconds, 'float8'))).where(over, '<', later(clock, AHEAD_SECONDS))
      .where(over, '>=', from).where(isAfter)
      .orderBy(over).orderBy('user_id').orderBy('id').limit((eb) => eb.lit(PAGE_SESSIONS)))
    .selectNoFrom((eb) => [
      serverStart.as('server'), isWritable,
      eb.fn<string>('concat', [eb.fn('current_database'), textOf('/'), eb.fn('current_schema')]).as('place'),
      jsonAs(eb.selectFrom('page').select((eb) => eb.fn.jsonAgg('page').orderBy('at').orderBy('userId').orderBy('sessionId')
        .$castTo<PagePlace[] | null>().as('all')).$asScalar(), 'ended')
    ])
})

/**
 * A page of the marks of users from within some seconds, oldest first, after a place. A mark lies some seconds before its transaction,
 * which is within the time that is added for clocks that differ.
 */
export const selectRecentMarks = statement('read_recent_marks', (db, p: Parameters<{ withinSeconds: number } & MarkedUser>) => {
  const from = timeOfSeconds(p.endedBefore)
  return db
    .with('page', (db) => db.selectFrom('otp_revocation')
      .select((eb) => ['user_id as userId', unixSeconds(eb.ref('ended_before')).as('endedBefore')])
      .where('ended_xid', 'is not', null)
      .where('ended_before', '>=', earlier(clock, typed(p.withinSeconds, 'float8'))).where('ended_before', '>=', from)
      .where((eb) => eb.or([eb('ended_before', '>', from), eb('user_id', '>', textOf(p.userId))]))
      .orderBy('ended_before').orderBy('user_id').limit((eb) => eb.lit(PAGE_SESSIONS)))
    .selectNoFrom((eb) => [
      serverStart.as('server'), isWritable,
      jsonAs(eb.selectFrom('page').select((eb) => eb.fn.jsonAgg('page').orderBy('endedBefore').orderBy('userId')
        .$castTo<MarkedUser[] | null>().as('all')).$asScalar(), 'marked')
    ])
})
