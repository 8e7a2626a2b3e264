import type { Seal } from '../../core/keys/seal.js'
import type { Db } from '../../tables/db.js'
import { statement, type Parameters } from '../../tables/statement.js'
import type { ReportUnreadable } from '../unreadable.js'
import { openOrigin, sealOrigin } from './candidates.js'
import { saltFor, saltOf, slowDigest } from './slow-digests.js'

interface HardeningDeps { db: Db, seal: Seal, unreadable: ReportUnreadable }

interface WeakCode { userId: string, digest: string, origin: string | null, fast: boolean }

/**
 * Weak codes of the next user who still has a fast digest, in the order of the ids. Codes of a pending device are none. One user at
 * a time: some 40 ms of one core for each code.
 */
const selectFast = statement('read_fast_weak_codes', (db, p: Parameters<{ after: string }>) => db.selectFrom('otp_recovery_code as c')
  .select(['c.user_id as userId', 'c.digest', 'c.origin', 'c.fast'])
  .where('c.user_id', '=', (eb) => eb.selectFrom('otp_recovery_code as w').select('w.user_id')
    .where('w.fast', '=', eb.lit(true)).where('w.used_at', 'is', null).where('w.user_id', '>', p.after)
    .orderBy('w.user_id').limit(eb.lit(1)))
  .where('c.weak', '=', true).where('c.used_at', 'is', null))

const replaceDigest = statement('harden_weak_code', (db, p: Parameters<{
  userId: string, digest: string, slow: string, origin: string | null
}>) => db.updateTable('otp_recovery_code').set({ digest: p.slow, origin: p.origin, fast: false })
  .where('user_id', '=', p.userId).where('digest', '=', p.digest).where('used_at', 'is', null))

/**
 * Makes a function that replaces the fast digests of imported weak codes, of one user at a call, by slow ones with a salt of the user
 * (ASVS 6.5.2). An import writes fast ones, since a hundred thousand users would take hours. A code that is used meanwhile keeps its
 * digest: it is dead. A code whose key cannot be read keeps its digest too, and holds up no other user's codes.
 *
 * @returns a function that returns the number of replaced digests; 0 after the last user
 */
export function createHardening (deps: HardeningDeps): () => Promise<number> {
  let after = ''
  return async () => {
    for (;;) {
      const codes = await selectFast.all(deps.db, { after })
      after = codes[0]?.userId ?? ''
      if (codes.length === 0) return 0
      const count = await harden(deps, codes)
      if (count > 0) return count
    }
  }
}

/** @param codes of one user */
async function harden ({ db, seal, unreadable }: HardeningDeps, codes: readonly WeakCode[]): Promise<number> {
  // All codes of a user have one salt, so that a guess costs one hash. Codes from elsewhere, or of an earlier key, bring theirs.
  const salt = codes.map(({ digest }) => saltOf(digest)).find((known) => known !== null) ??
    saltFor(seal.derive('salt of weak codes')[0]!, codes[0]!.userId)
  let count = 0
  for (const { userId, digest, origin } of codes.filter(({ fast }) => fast)) {
    const slow = await slowDigest(digest, salt)
    const moved = originFor(seal, { userId, digest, slow, origin }, unreadable)
    if (moved !== undefined) count += await replaceDigest.changed(db, { userId, digest, slow, origin: moved })
  }
  return count
}

/** Returns the origin sealed for the row's new digest; undefined if it cannot be opened. */
function originFor (
  seal: Seal, { userId, digest, slow, origin }: { userId: string, digest: string, slow: string, origin: string | null },
  unreadable: ReportUnreadable
): string | null | undefined {
  if (origin === null) return null
  try {
    return sealOrigin(seal, openOrigin(seal, userId, { digest, origin }), { userId, digest: slow })
  } catch (error) {
    unreadable('otp_recovery_code', digest, error)
    return undefined
  }
}
