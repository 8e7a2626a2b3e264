import { hkdfSync, randomBytes } from 'node:crypto'
import { CODE_BYTES, formatRecoveryCode } from './recovery-codes.js'
import { SECRET_BYTES } from './totp.js'

/**
 * Everything that `create` shows of a pending factor follows from its seed, so that a repeated request is answered with the same
 * secret and codes. 256 bits: more than any value that is derived from it. Store it sealed, and delete it at the confirmation.
 */
const SEED_BYTES = 32

export function newEnrolmentSeed (): Buffer {
  return randomBytes(SEED_BYTES)
}

/** RFC 5869; the purpose separates what is derived, so that no value tells another one. */
function derived (seed: Uint8Array, purpose: string, bytes: number): Buffer {
  return Buffer.from(hkdfSync('sha256', seed, '', `countersign enrolment ${purpose}`, bytes))
}

/** 160 bits. */
export function seededTotpSecret (seed: Uint8Array): Buffer {
  return derived(seed, 'totp secret', SECRET_BYTES)
}

/** The first codes of the seed, as they are printed; 120 bits each. */
export function seededRecoveryCodes (seed: Uint8Array, count: number): string[] {
  return Array.from({ length: count }, (_, index) => formatRecoveryCode(derived(seed, `recovery code ${index}`, CODE_BYTES)))
}
