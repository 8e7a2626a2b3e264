import { createHash, createHmac, randomBytes } from 'node:crypto'
import { typedCode, typedSymbols } from '../normal-forms.js'

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

/**
 * Form of a recovery code: how a typed text is read before its digest is made. `own`: a code of Countersign. `printed`: a code of
 * another system, by its symbols without spaces and dashes, case kept. `django`: `normaliseWeakCode`. `sha512`: as `printed`, of which
 * only the SHA-512 is known.
 */
export type CodeForm = 'own' | 'printed' | 'django' | 'sha512'

/** Key of the recovery codes of one user, with the user id that is part of each digest. Both are of the deployment that made it. */
export interface CodeKey { key: Uint8Array, userId: string }

/** Derives the key of a user's codes, so that an export of this user has no key of another one. */
export function codeKey (digestKey: Uint8Array, userId: string): CodeKey {
  return { key: createHmac('sha256', digestKey).update(`recovery codes\0${userId}`).digest(), userId }
}

const PRINTED = /^[!-~]{6,128}$/

/** Returns the symbols of a code as it was printed, without spaces and dashes; null if it is no such code. */
export function printedSymbols (text: string): string | null {
  const symbols = typedSymbols(text)
  return PRINTED.test(symbols) ? symbols : null
}

/** Returns the part of a typed text that a digest is made of; null if the text has not this form. */
export function codeText (form: CodeForm, typed: string): string | null {
  switch (form) {
    case 'own': return normaliseRecoveryCode(typed)
    case 'django': return normaliseWeakCode(typed)
    case 'printed': return printedSymbols(typed)
    case 'sha512': {
      const symbols = printedSymbols(typed)
      return symbols === null ? null : createHash('sha512').update(symbols).digest('base64')
    }
  }
}

/** @param text result of `codeText` for the same form */
export function codeDigest ({ key, userId }: CodeKey, form: CodeForm, text: string): string {
  return createHmac('sha256', key).update(`${form}\0${userId}\0${text}`).digest('base64url')
}

/** ASVS 6.5.2: from here on a fast digest is enough. */
const STRONG_BITS = 112
/** The smallest set of symbols that has all of a code's: digits, hexadecimal, letters of one case, with digits, of both cases. */
const SYMBOL_SETS: ReadonlyArray<[pattern: RegExp, size: number]> = [
  [/^[0-9]*$/, 10], [/^(?:[0-9a-f]*|[0-9A-F]*)$/, 16], [/^(?:[a-z]*|[A-Z]*)$/, 26], [/^(?:[0-9a-z]*|[0-9A-Z]*)$/, 36], [/^[a-zA-Z]*$/, 52]
]
const ALL_SYMBOLS = 62

function bitsOf (symbols: string): number {
  const [, size] = SYMBOL_SETS.find(([pattern]) => pattern.test(symbols)) ?? [null, ALL_SYMBOLS]
  return symbols.length * Math.log2(size)
}

/**
 * Strength of a code, by its length and the kinds of its symbols. `weak`: it can be guessed, and is none of Countersign's.
 * `disguised`: it looks like one of those, which are guessed at without a limit, and has fewer bits: it must not come.
 */
export function strengthOf (text: string): 'strong' | 'weak' | 'disguised' {
  if (bitsOf(typedSymbols(text)) >= STRONG_BITS) return 'strong'
  return normaliseRecoveryCode(text) === null ? 'weak' : 'disguised'
}

/** True if a code can be guessed. */
export const isWeakCode = (text: string): boolean => strengthOf(text) === 'weak'
