import { createHmac } from 'node:crypto'
import { normaliseRecoveryCode } from './recovery-codes.js'

/** How long somebody whose second factor was reset has to use the code that staff hands them. */
export const SETUP_CODE_SECONDS = 24 * 3600

/**
 * What is stored of a set-up code, which looks like a recovery code: 120 bits, so a keyed digest will do. The user is
 * part of it, and so is what it is for: a recovery code of the same symbols digests otherwise.
 *
 * @param text as it was typed
 * @returns null if that is no such code
 */
export function setupDigest (digestKey: Uint8Array, userId: string, text: string): string | null {
  const code = normaliseRecoveryCode(text)
  return code === null ? null : createHmac('sha256', digestKey).update(`set-up code\0${userId}\0${code}`).digest('base64url')
}
