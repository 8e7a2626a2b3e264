import { createHmac } from 'node:crypto'
import { normaliseRecoveryCode } from './recovery-codes.js'

/** Lifetime of the code that staff give to a user after a reset of the second factor. */
export const SETUP_CODE_SECONDS = 24 * 3600

/**
 * Returns the digest that is stored for a set-up code, which looks like a recovery code: 120 bits, so a keyed digest is enough.
 * The user id and the purpose are part of it: a recovery code of the same symbols has another digest.
 *
 * @param text the code as typed
 * @returns null if the text is no such code
 */
export function setupDigest (digestKey: Uint8Array, userId: string, text: string): string | null {
  const code = normaliseRecoveryCode(text)
  return code === null ? null : createHmac('sha256', digestKey).update(`set-up code\0${userId}\0${code}`).digest('base64url')
}
