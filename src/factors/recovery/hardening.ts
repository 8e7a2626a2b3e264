import type { Seal } from '../../core/keys/seal.js'
import type { Db } from '../../tables/db.js'
import { statement, type Parameters } from '../../tables/statement.js'
import { openOrigin, sealOrigin } from './candidates.js'
import { newSalt, saltOf, slowDigest } from './slow-digests.js'

/** Users whose codes are hashed in one run: some 40 ms of one core for each code. */
const USERS_AT_ONCE = 1

/** Weak codes that still have a fast digest. Codes of a pending device are none. */
const selectFast = statement('read_fast_weak_codes', (db, p: Parameters<{ limit: number }>) => db.selectFrom('otp_recovery_code as c')
  .select(['c.user_id as userId', 'c.digest', 'c.origin', 'c.fast'])
  .where('c.user_id', 'in', (eb) => eb.selectFrom('otp_recovery_code as w').select('w.user_id').distinct()
    .where('w.fast', '=', eb.lit(true)).where('w.used_at', 'is', null).limit(p.limit))
  .where('c.weak', '=', true).where('c.used_at', 'is', null))

const replaceDigest = statement('harden_weak_code', (db, p: Parameters<{
  userId: string, digest: string, slow: string, origin: string | null
}>) => db.updateTable('otp_recovery_code').set({ digest: p.slow, origin: p.origin, fast: false })
  .where('user_id', '=', p.userId).where('digest', '=', p.digest).where('used_at', 'is', null))

/**
 * Replaces the fast digests of imported weak codes by slow ones with a salt of their user (ASVS 6.5.2). An import writes fast ones,
 * since a hundred thousand users would take hours. A code that is used meanwhile keeps its digest: it is dead.
 *
 * @returns the number of replaced digests; 0 if there is none left
 */
export async function hardenWeakCodes (db: Db, seal: Seal): Promise<number> {
  const codes = await selectFast.all(db, { limit: USERS_AT_ONCE })
  // All codes of a user have one salt, so that a guess costs one hash.
  const salts = new Map<string, string>()
  for (const { userId, digest } of codes) {
    const salt = saltOf(digest)
    if (salt !== null) salts.set(userId, salt)
  }
  let count = 0
  for (const { userId, digest, origin, fast } of codes) {
    if (!fast) continue
    const salt = salts.get(userId) ?? newSalt()
    salts.set(userId, salt)
    const slow = await slowDigest(digest, salt)
    const moved = origin === null ? null : sealOrigin(seal, openOrigin(seal, userId, { digest, origin }), { userId, digest: slow })
    count += await replaceDigest.changed(db, { userId, digest, slow, origin: moved })
  }
  return count
}
