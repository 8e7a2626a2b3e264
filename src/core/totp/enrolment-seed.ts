import { hkdfSync, randomBytes } from 'node:crypto'
import { CODE_BYTES, formatRecoveryCode } from '../recovery/recovery-codes.js'
import { SECRET_BYTES } from './totp.js'

/**
 * Size of a seed. The secret and codes that `create` shows are derived from it, so a repeated request gets the same ones.
 * 256 bits: more than any value that is derived from it. Store it sealed, and delete it at the confirmation.
 */
const SEED_BYTES = 32

export function newEnrolmentSeed (): Buffer {
  return randomBytes(SEED_BYTES)
}

/** Derives a value by HKDF (RFC 5869). The purpose separates the values, so that one does not reveal another. */
function derived (seed: Uint8Array, purpose: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', seed, '', `countersign enrolment ${purpose}`, bytes))
}

/** Returns the TOTP secret of a seed, 160 bits. */
export function seededTotpSecret (seed: Uint8Array): Buffer {
  return derived(seed, 'totp secret', SECRET_BYTES)
}

/** Returns the first `count` recovery codes of a seed, as they are printed; 120 bits each. */
export function seededRecoveryCodes (seed: Uint8Array, count: number): string[] {
  return Array.from({ length: count }, (_, index) => formatRecoveryCode(derived(seed, `recovery code ${index}`, CODE_BYTES)))
}
