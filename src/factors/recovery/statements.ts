import type { Requester } from '../../core/session.js'
import { byRequester, requesterValues, withEvent, type RequesterValues } from '../../events/insert.js'
import { endingSession, withEnded } from '../../sessions/ending.js'
import { endedIds, selectLiving } from '../../sessions/statements.js'
import type { Db } from '../../tables/db.js'
import { statement, type Parameters } from '../../tables/statement.js'
import { inTransaction, lockUser } from '../../tables/transaction.js'
import { clock, textOf, unnested, withNow } from '../../tables/values.js'

const refuse = statement('refuse_recovery', (db, p: Parameters<RequesterValues>, facts) => withEvent(
  withNow(db).with('requester', (db) => selectLiving(db, p)), facts, (db) => db.selectFrom(['requester', 'now']),
  () => ({ ...byRequester(p), kind: 'recovery_refused' })
).selectFrom('requester').select('requester.user_id'))

/** Records that a recovery code was refused. Returns false if the session had ended: the caller then answers that. */
export const refuseRecovery = async (db: Db, requester: Requester): Promise<boolean> =>
  await refuse.first(db, requesterValues(requester)) !== undefined

const replace = statement('replace_recovery_codes', (db, p: Parameters<RequesterValues>, facts) => {
  const dropped = withNow(db)
    .with('raised', (db) => db.updateTable('otp_user as u').set((eb) => ({ version: eb('u.version', '+', 1) }))
      .where('u.user_id', '=', p.userId)
      .where((eb) => eb.exists(eb.selectFrom('otp_device as d')
        .whereRef('d.user_id', '=', 'u.user_id').where('d.confirmed_at', 'is not', null)))
      .where((eb) => eb.exists(selectLiving(db, p).where('s.otp_device_id', 'is not', null)))
      .returning('u.user_id'))
    .with('dropped', (db) => db.deleteFrom('otp_recovery_code as c').using('raised')
      .whereRef('c.user_id', '=', 'raised.user_id').where('c.pending_device_id', 'is', null))
  const ended = withEnded(dropped, 'raised', p.userId, 'recovery_regenerated', endingSession('s.id', '<>', p.sessionId))
  return withEvent(ended, facts, (db) => db.selectFrom(['raised', 'now']), () => ({ ...byRequester(p), kind: 'recovery_regenerated' }))
    .selectFrom('raised').select(endedIds)
})

const insertCodes = statement('insert_recovery_codes', (db, p: Parameters<{ userId: string, digests: string[] }>) => db
  .insertInto('otp_recovery_code').columns(['user_id', 'digest', 'created_at'])
  .expression((eb) => eb.selectFrom(unnested('d', { digest: ['text', p.digests] }))
    .select([textOf(p.userId).as('user_id'), 'd.digest', clock.as('at')])))

/** Replaces all codes by new ones; the user's other sessions end. Returns null if no verified session or no device is left. */
export async function replaceRecoveryCodes (db: Db, requester: Requester, digests: string[]): Promise<{ endedIds: string[] } | null> {
  const values = requesterValues(requester)
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, values.userId)
    const raised = await replace.first(tx, values)
    if (raised === undefined) return null
    await insertCodes.changed(tx, { userId: values.userId, digests })
    return raised
  })
}
