import { createHmac, randomBytes } from 'node:crypto'
import { typedCode } from './normal-forms.js'

/** Crockford base32 without I, L, O, U: nothing to misread aloud or on paper. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
/** 15 bytes = 24 symbols × 5 bits = 120 bits: over the 112 from which ASVS 6.5.2 allows a plain keyed digest. */
export const CODE_BYTES = 15
const GROUP_SYMBOLS = 4

/** Returns a random code as it is printed. Show it once; store `recoveryDigest` of it and nothing else. */
export function newRecoveryCode (): string {
  return formatRecoveryCode(randomBytes(CODE_BYTES))
}

/**
 * Returns six groups of four symbols.
 *
 * @param bytes `CODE_BYTES` of them
 */
export function formatRecoveryCode (bytes: Buffer): string {
  let number = BigInt(`0x${bytes.toString('hex')}`)
  let symbols = ''
  for (let i = 0; i < CODE_BYTES * 8 / 5; i++) {
    symbols = ALPHABET.charAt(Number(number & 31n)) + symbols
    number >>= 5n
  }
  return symbols.replace(new RegExp(`.{${GROUP_SYMBOLS}}(?=.)`, 'g'), '$&-')
}

/** Returns the printed symbols of a typed code (`typedCode`): upper case, O as 0, I and L as 1. Null if it is no code. */
export function normaliseRecoveryCode (text: string): string | null {
  const symbols = typedCode(text).toUpperCase().replaceAll('O', '0').replace(/[IL]/g, '1')
  return /^[0-9A-HJKMNP-TV-Z]{24}$/.test(symbols) ? symbols : null
}

/**
 * Returns the digest by which a code is stored and found: a guess costs one look-up. The user id is part of it, so a row
 * copied to another account is useless there.
 *
 * @param code as `normaliseRecoveryCode` gives it
 */
export function recoveryDigest (digestKey: Uint8Array, userId: string, code: string): string {
  return createHmac('sha256', digestKey).update(`recovery code\0${userId}\0${code}`).digest('base64url')
}

/**
 * Returns the normal form of a code imported from django-otp: 8 symbols of RFC 4648 base32. 40 bits can be guessed, so each
 * try consumes an attempt first. Typed as any code (`typedCode`); null if it has another shape.
 */
export function normaliseWeakCode (text: string): string | null {
  const symbols = typedCode(text).toLowerCase()
  return /^[a-z2-7]{8}$/.test(symbols) ? symbols : null
}

/** Returns the digest of an imported code. The prefix differs from that of `recoveryDigest`, so the two kinds never collide. */
export function weakRecoveryDigest (digestKey: Uint8Array, userId: string, code: string): string {
  return createHmac('sha256', digestKey).update(`weak recovery code\0${userId}\0${code}`).digest('base64url')
}
