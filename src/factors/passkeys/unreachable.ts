import type { Db } from '../../tables/db.js'
import { statement, type Parameters } from '../../tables/statement.js'

/** Passkeys of an RP id with which no page asks for them now. */
export interface UnreachablePasskeys { rpId: string, passkeys: number }

const countOthers = statement('count_unreachable_passkeys', (db, p: Parameters<{ rpId: string }>) => db
  .selectFrom('otp_passkey')
  .select((eb) => ['rp_id as rpId', eb.cast<number>(eb.fn.countAll(), 'integer').as('passkeys')])
  .where('rp_id', '<>', p.rpId).groupBy('rp_id').orderBy('rp_id'))

/**
 * Counts the passkeys that no browser finds, because the RP id was changed or there are no passkeys any more. Their users still
 * owe a factor.
 *
 * @param rpId RP id in force; null without passkeys
 */
export async function countUnreachable (db: Db, rpId: string | null): Promise<UnreachablePasskeys[]> {
  return await countOthers.all(db, { rpId: rpId ?? '' })
}
