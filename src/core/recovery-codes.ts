import { createHmac, randomBytes } from 'node:crypto'
import { typedCode } from './normal-forms.js'

/** Crockford base32 without I, L, O, U: nothing to misread aloud or on paper. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
/** 15 bytes = 24 symbols × 5 bits = 120 bits: over the 112 from which ASVS 6.5.2 allows a plain keyed digest. */
export const CODE_BYTES = 15
const GROUP_SYMBOLS = 4

/** One code as it is printed. Shown once; store `recoveryDigest` of it and nothing else. */
export function newRecoveryCode (): string {
  return formatRecoveryCode(randomBytes(CODE_BYTES))
}

/**
 * Six groups of four symbols.
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

/** What was printed, from what was typed (`typedCode`): in upper case, O as 0, I and L as 1. Null if it is no code. */
export function normaliseRecoveryCode (text: string): string | null {
  const symbols = typedCode(text).toUpperCase().replaceAll('O', '0').replace(/[IL]/g, '1')
  return /^[0-9A-HJKMNP-TV-Z]{24}$/.test(symbols) ? symbols : null
}

/**
 * What is stored of a code, and what one is found by: a guess costs one look-up. The user is part of it,
 * so that a row copied to somebody else's account opens nothing.
 *
 * @param code as `normaliseRecoveryCode` gives it
 */
export function recoveryDigest (digestKey: Uint8Array, userId: string, code: string): string {
  return createHmac('sha256', digestKey).update(`recovery code\0${userId}\0${code}`).digest('base64url')
}

/**
 * A code that was brought over from django-otp: 8 symbols of RFC 4648 base32, 40 bits. So few can be guessed: who
 * tries one spends an attempt first. Typed as any code (`typedCode`); null if it has another shape.
 */
export function normaliseWeakCode (text: string): string | null {
  const symbols = typedCode(text).toLowerCase()
  return /^[a-z2-7]{8}$/.test(symbols) ? symbols : null
}

/** As `recoveryDigest`, apart from it: no code of one kind is ever one of the other. */
export function weakRecoveryDigest (digestKey: Uint8Array, userId: string, code: string): string {
  return createHmac('sha256', digestKey).update(`weak recovery code\0${userId}\0${code}`).digest('base64url')
}
