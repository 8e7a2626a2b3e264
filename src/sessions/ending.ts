import { expressionBuilder, type Expression, type QueryCreator } from 'kysely'
import type { EventKind } from '../events/kinds.js'
import type { Db, Tables } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { textOf, withNow, type Now } from '../tables/values.js'
import { withMarkBehind } from './marks.js'
import { endedFor } from './statements.js'

/** CTE of the sessions that a statement ended. */
export interface Ended { ended: { id: string, user_id: string } }

type Ending = Tables & { now: Now, when: object, s: Tables['otp_session'] }

/** Builds a condition on a session `s` that may end, beside `now`. */
export const endingSession = expressionBuilder<Ending, 's' | 'now'>()

/**
 * Ends sessions of a user in the CTE `ended`, beside `now`: all that have not ended, if `when` has a row.
 *
 * @param when a CTE
 * @param only further condition on a session `s`
 */
export function withEnded<With> (
  db: QueryCreator<With>, when: keyof With & string, userId: string, reason: string, only?: Expression<unknown>
): QueryCreator<With & Ended> {
  return (db as unknown as QueryCreator<Ending>)
    .with('ended', (db) => db.updateTable('otp_session as s').from('now').set(endedFor(reason))
      .where('s.user_id', '=', userId).where('s.ended_at', 'is', null)
      .where((eb) => eb.exists(eb.selectFrom(when as 'when')))
      .$if(only !== undefined, (query) => query.where(only as Expression<boolean>))
      .returning(['s.id', 's.user_id'])) as unknown as QueryCreator<With & Ended>
}

const endedSessions = expressionBuilder<Ended>()

/** Detail of an event for all sessions that a statement ended: how many, beside `ended`. */
export const withCount = (which: string) => endedSessions(textOf<string>(which), '||', endedSessions.cast<string>(
  endedSessions.selectFrom('ended').select((eb) => eb.fn.countAll().as('sessions')), 'text'))

/** Session rows that stay for the revocation poller have no details of a deleted account. */
const emptied = { ip: '', agent: '', rotated_network: null }

type Deleting = QueryCreator<Tables & { now: Now, requester: { user_id: string } }>

/** Ends the sessions of an account that its `requester` deletes, and empties them. */
export const endEmptied = (db: unknown, userId: string) => (db as Deleting).updateTable('otp_session as s').from(['requester', 'now'])
  .set({ ...endedFor('account_deleted'), ...emptied })
  .where('s.user_id', '=', userId).where('s.ended_at', 'is', null).returning(['s.id', 's.user_id'])

/** Empties the sessions that had ended before. */
export const emptyEnded = (db: unknown, userId: string) => (db as Deleting).updateTable('otp_session as s').from('requester')
  .set(emptied).where('s.user_id', '=', userId).where('s.ended_at', 'is not', null)

/** Ends the sessions of a host's user whose data is deleted, in the CTE `ended` beside `now`, and empties those and the others. */
export const withForgottenSessions = <With> (db: QueryCreator<With>, userId: string): QueryCreator<With & Ended> =>
  (db as unknown as QueryCreator<Ending>)
    .with('ended', (db) => db.updateTable('otp_session as s').from('now').set({ ...endedFor('forgotten'), ip: '', agent: '' })
      .where('s.user_id', '=', userId).where('s.ended_at', 'is', null).returning(['s.id', 's.user_id']))
    .with('emptied', (db) => db.updateTable('otp_session as s').set({ ip: '', agent: '' })
      .where('s.user_id', '=', userId).where('s.ended_at', 'is not', null)) as unknown as QueryCreator<With & Ended>

const endEvery = statement('end_every_session', (db, p: Parameters<{ userId: string, reason: string }>, facts) =>
  withMarkBehind(withEnded(withNow(db), 'now', p.userId, p.reason), facts, 'now', p.userId).selectFrom('ended').select('id'))

/** Ends every session of a user, whose lock the transaction has. @returns the ids of the ended sessions */
export async function endEverySession (db: Db, userId: string, reason: EventKind): Promise<string[]> {
  return (await endEvery.all(db, { userId, reason })).map(({ id }) => id)
}
