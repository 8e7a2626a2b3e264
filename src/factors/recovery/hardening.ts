import type { Seal } from '../../core/keys/seal.js'
import { statement, type Parameters } from '../../tables/statement.js'
import type { Tx } from '../../tables/transaction.js'
import type { ReportUnreadable } from '../unreadable.js'
import { openOrigin, sealOrigin } from './candidates.js'
import { saltFor, saltOf, slowDigest } from './slow-digests.js'

interface HardeningDeps { seal: Seal, unreadable: ReportUnreadable }

interface WeakCode { userId: string, digest: string, origin: string | null, fast: boolean }

/**
 * Weak codes of the next user who still has a fast digest, in the order of the ids. Codes of a pending device are none.
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

/** Replaces one digest. Returns true if it found one to replace; false after the last user. */
export type Harden = (tx: Tx) => Promise<boolean>

/**
 * Makes a function that replaces the fast digests of imported weak codes, one at a call, by slow ones with a salt of the user (ASVS 6.5.2).
 * An import writes fast ones, since a hundred thousand users would take hours. A code that is used meanwhile keeps its digest: it is
 * dead. A code whose key cannot be read keeps its digest too, and holds up no other codes.
 *
 * The transaction has the lock of the cleanup, so that one replica at a time uses its processor for it. It has one code only, so that it
 * idles for some 40 ms, and no request of an embedded database waits for longer.
 */
export function createHardening (deps: HardeningDeps): Harden {
  let after = ''
  /** Digests of the user behind `after` that were read already. */
  let tried = new Set<string>()
  return async (tx) => {
    for (;;) {
      const codes = await selectFast.all(tx, { after })
      const code = codes.find(({ fast, digest }) => fast && !tried.has(digest))
      if (code !== undefined) {
        tried.add(code.digest)
        await harden(deps, tx, code, codes)
        return true
      }
      after = codes[0]?.userId ?? ''
      tried = new Set()
      if (codes.length === 0) return false
    }
  }
}

/** @param codes of the same user */
async function harden ({ seal, unreadable }: HardeningDeps, tx: Tx, code: WeakCode, codes: readonly WeakCode[]): Promise<void> {
  const { userId, digest, origin } = code
  // All codes of a user have one salt, so that a guess costs one hash. Codes from elsewhere, or of an earlier key, bring theirs.
  const salt = codes.map(({ digest }) => saltOf(digest)).find((known) => known !== null) ??
    saltFor(seal.derive('salt of weak codes')[0]!, userId)
  const slow = await slowDigest(digest, salt)
  const moved = originFor(seal, { userId, digest, slow, origin }, unreadable)
  if (moved !== undefined) await replaceDigest.changed(tx, { userId, digest, slow, origin: moved })
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
