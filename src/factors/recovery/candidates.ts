import {
  codeDigest, codeKey, codeText, isWeakCode, normaliseRecoveryCode, normaliseWeakCode, printedSymbols, recoveryDigest, strengthOf,
  weakRecoveryDigest, type CodeForm, type CodeKey
} from '../../core/recovery/recovery-codes.js'
import type { Seal } from '../../core/keys/seal.js'
import type { Db } from '../../tables/db.js'
import { statement, type Parameters } from '../../tables/statement.js'
import type { ReportUnreadable } from '../unreadable.js'
import { saltOf, slowDigest } from './slow-digests.js'

/** Form in a row that an older release wrote: its digest was made under the key of the deployment. */
export const OF_DEPLOYMENT = 'deployment'

export interface StoredForm { digest: string, form: string, origin: string | null, weak: boolean }

/** Unused codes of a user whose digest depends on more than the text and the deployment's key. */
const selectForeign = statement('read_foreign_codes', (db, p: Parameters<{ userId: string }>) => db.selectFrom('otp_recovery_code')
  .select(['digest', 'form', 'origin', 'weak'])
  .where('user_id', '=', p.userId).where('used_at', 'is', null).where('pending_device_id', 'is', null)
  .where((eb) => eb.or([eb('weak', '=', true), eb('origin', 'is not', null), eb('form', 'not in', ['own', OF_DEPLOYMENT])])))

/** Place that the origin of a digest is sealed for. */
export const originPlace = (userId: string, digest: string) => ({ table: 'otp_recovery_code', row: digest, userId })

/** Sealed text of an origin: the key in base64url, and the user id. */
export function sealOrigin (seal: Seal, { key, userId }: CodeKey, place: { userId: string, digest: string }): string {
  const text = JSON.stringify([Buffer.from(key).toString('base64url'), userId])
  return seal.seal(Buffer.from(text), originPlace(place.userId, place.digest))
}

export function openOrigin (seal: Seal, userId: string, { digest, origin }: { digest: string, origin: string }): CodeKey {
  const [key, theirs] = JSON.parse(seal.open(origin, originPlace(userId, digest)).plain.toString()) as [string, string]
  return { key: Buffer.from(key, 'base64url'), userId: theirs }
}

interface Deps { db: Db, seal: Seal, digestKey: () => Promise<Buffer>, unreadable: ReportUnreadable }

export interface Candidates {
  /** True if the text may be a weak code of the user, so that the guess costs an attempt. */
  isWeak: boolean
  /** True if a digest that the text is compared with may be replaced by a slow one meanwhile. */
  mayHarden: boolean
  /** Computes the digests under which the code may be stored: none if the text is no code. Takes 40 ms for each salt of weak codes. */
  digests (): Promise<string[]>
}

/** Reads which forms of codes the user has, and with it, how a typed text is to be compared. */
export async function readCandidates (deps: Deps, userId: string, text: string): Promise<Candidates> {
  const digestKey = await deps.digestKey()
  const foreign = printedSymbols(text) === null ? [] : await selectForeign.all(deps.db, { userId })
  const isWeak = isWeakCode(text) && foreign.some(({ weak }) => weak)
  // A code that came as its SHA-512 counts as weak, and may be strong.
  const isStrong = strengthOf(text) === 'strong'
  const compared = foreign.filter(({ weak, form }) => weak === isWeak || (isStrong && form === 'sha512'))
  return {
    isWeak,
    mayHarden: compared.some(({ digest, weak }) => weak && saltOf(digest) === null),
    async digests () {
      const fast = new Map<string, Set<string | null>>()
      const add = (digest: string, salt: string | null) => {
        fast.set(digest, (fast.get(digest) ?? new Set<string | null>()).add(salt))
      }
      for (const digest of isWeak ? weakOfDeployment(digestKey, userId, text) : ownDigests(digestKey, userId, text)) add(digest, null)
      for (const row of compared) {
        const digest = fastDigest(deps, digestKey, userId, row, text)
        if (digest !== null) add(digest, saltOf(row.digest))
      }
      const found: string[] = []
      for (const [digest, salts] of fast) {
        for (const salt of salts) found.push(salt === null ? digest : await slowDigest(digest, salt))
      }
      return found
    }
  }
}

/** Digests of a code of Countersign, of today and of an older release. */
function ownDigests (digestKey: Buffer, userId: string, text: string): string[] {
  const code = normaliseRecoveryCode(text)
  return code === null ? [] : [codeDigest(codeKey(digestKey, userId), 'own', code), recoveryDigest(digestKey, userId, code)]
}

/** Digests of a code of django-otp that an older release imported. */
function weakOfDeployment (digestKey: Buffer, userId: string, text: string): string[] {
  const code = normaliseWeakCode(text)
  return code === null ? [] : [weakRecoveryDigest(digestKey, userId, code)]
}

function fastDigest ({ seal, unreadable }: Deps, digestKey: Buffer, userId: string, row: StoredForm, typed: string): string | null {
  const { digest, form, origin } = row
  if (form === OF_DEPLOYMENT) {
    const code = normaliseWeakCode(typed)
    return code === null ? null : weakRecoveryDigest(digestKey, userId, code)
  }
  const text = codeText(form as CodeForm, typed)
  if (text === null) return null
  try {
    return codeDigest(origin === null ? codeKey(digestKey, userId) : openOrigin(seal, userId, { digest, origin }), form as CodeForm, text)
  } catch (error) {
    unreadable('otp_recovery_code', digest, error)
    return null
  }
}
