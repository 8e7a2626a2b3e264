import type { Expression } from 'kysely'
import { withMark } from '../sessions/marks.js'
import { withSingleEvent } from '../events/insert.js'
import { awaitsDelivery } from '../events/outbox.js'
import { withForgottenSessions } from '../sessions/ending.js'
import { endedIds } from '../sessions/statements.js'
import type { Db } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { inTransaction, lockUser } from '../tables/transaction.js'
import { milliseconds, numberAs, withNow } from '../tables/values.js'

export interface Forgotten {
  endedIds: string[]
  /** Milliseconds until the mark lies in the past. */
  waitMs: number
}

const forget = statement('forget_user', (db, p: Parameters<{ userId: string }>, facts) => {
  const deleted = withMark(withForgottenSessions(withNow(db), p.userId), p.userId)
    .with('devices', (db) => db.deleteFrom('otp_device').where('user_id', '=', p.userId))
    .with('challenges', (db) => db.deleteFrom('otp_challenge').where('user_id', '=', p.userId))
    .with('codes', (db) => db.deleteFrom('otp_recovery_code').where('user_id', '=', p.userId))
    .with('budgets', (db) => db.deleteFrom('otp_password_budget').where('user_id', '=', p.userId))
    .with('events', (db) => db.deleteFrom('otp_event as e').where('e.user_id', '=', p.userId).where((eb) => eb.not(awaitsDelivery)))
    .with('mails', (db) => db.deleteFrom('otp_delivery').where('user_id', '=', p.userId).where('event_id', 'is', null))
    .with('counters', (db) => db.deleteFrom('otp_event_counter').where('user_id', '=', p.userId))
    .with('state', (db) => db.deleteFrom('otp_user').where('user_id', '=', p.userId))
  return withSingleEvent(deleted, facts, (db) => db.selectFrom('now'), () => ({
    userId: p.userId, kind: 'account_deleted', sessionId: null, ip: '', agent: ''
  })).selectFrom(['mark', 'now']).select((eb) => [
    endedIds,
    numberAs(milliseconds(eb('mark.ended_before', '-', eb.ref('now.at')) as unknown as Expression<Date>), 'waitMs')
  ])
})

/**
 * Deletes all data of a host's user, except these rows: the sessions, emptied, since replicas learn of revocations from
 * them and the cleanup keeps their digests; the event of the deletion; events that are still to be notified; and the
 * mark, which refuses sessions with an earlier proof. Times of proofs are whole seconds, so the mark is at the end of
 * the current second.
 */
export async function forgetUser (db: Db, userId: string): Promise<Forgotten> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    return (await forget.first(tx, { userId }))!
  })
}
