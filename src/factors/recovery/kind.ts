import { amr } from '../../core/assurance.js'
import type { CommittedSession } from '../../sessions/replacement.js'
import { statement, type Parameters } from '../../tables/statement.js'
import { inTransaction, lockUser } from '../../tables/transaction.js'
import { nothing, textOf } from '../../tables/values.js'
import type { Lifetimes, Requester } from '../../core/session.js'
import type { Db } from '../../tables/db.js'
import { committing, type ProofKind } from '../commit.js'
import { clearedCounts } from '../lockout-statements.js'

/**
 * Proof by a recovery code. It clears the lock, ends the requester's session and the user's unverified ones (among them an attacker's
 * that caused the lock), and starts a verified one. Codes have no counter: 120 bits cannot be guessed, and a lock would block the
 * owner's last way in. `digests` are of the one code in each of its forms: all its rows are consumed, since an import may have brought
 * the code in several forms.
 */
export const recoveryProof: ProofKind<{ digests: readonly string[] }> = {
  kind: 'recovery',
  amr: amr.recovery,
  acr: null,
  by: 'code',
  event: 'recovery_used',
  consume: (db, p) => db
    .with('consumed_rows', (db) => db.updateTable('otp_recovery_code as c').from(['requester', 'now'])
      .set((eb) => ({ used_at: eb.ref('now.at') }))
      .whereRef('c.user_id', '=', 'requester.user_id').where('c.digest', '=', (eb) => eb.fn.any(eb.val(p.digests as string[])))
      .where('c.used_at', 'is', null).where('c.pending_device_id', 'is', null)
      .where((eb) => eb.exists(eb.selectFrom('otp_device as d')
        .where('d.user_id', '=', eb.ref('c.user_id')).where('d.confirmed_at', 'is not', null)))
      .returning('c.user_id'))
    .with('consumed', (db) => db.selectFrom('consumed_rows as c').distinct().select([
      'c.user_id', textOf<string>('recovery').as('id'), nothing<string>('text').as('name'), nothing<string>('text').as('detail')
    ])),
  counts: () => clearedCounts,
  sparesVerified: false,
  ends: 'unverified',
  staysVerified: false,
  isVersioned: false,
  change: { consumesCode: true }
}

const commit = committing(recoveryProof)

const countLeft = statement('count_recovery_codes', (db, p: Parameters<{ userId: string }>) => db.selectFrom('otp_recovery_code')
  .select((eb) => eb.cast<number>(eb.fn.countAll(), 'integer').as('codesLeft'))
  .where('user_id', '=', p.userId).where('used_at', 'is', null).where('pending_device_id', 'is', null))

/** Resulting session, and the number of codes left. */
export interface UsedCode extends CommittedSession { codesLeft: number }

/** Uses a recovery code, with the user locked, so that of two codes used at once the second one counts after the first. */
export async function commitRecovered (
  db: Db, requester: Requester, digests: readonly string[], newSessionId: string, lifetimes: Lifetimes
): Promise<UsedCode | null> {
  const { userId } = requester.context
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const session = await commit(tx, requester, { digests, version: 0 }, newSessionId, lifetimes)
    return session === null ? null : { ...session, ...(await countLeft.first(tx, { userId }))! }
  })
}
