/*
 * Normal forms of typed text: keyboards, phones and copied text spell the same thing in many ways. Passwords are normalised by
 * NFC alone (`passwords.ts`).
 */

/** Characters between the symbols of a code, without meaning. The last three are used as dashes but lack the Dash property. */
const SEPARATORS = /[\p{Dash}\p{Pd}\p{White_Space}\p{Cf}\p{Default_Ignorable_Code_Point}\u02D7\u2043\u30FC]/gu
/** Symbols that are in this form already. */
const PLAIN = /^[A-Za-z0-9]*$/
/** A full stop, as after a code that was copied from the end of a sentence. */
const FULL_STOP = /[.\u0589\u06D4\u0964\u3002]/
const WHITE_SPACE = /\p{White_Space}/u
const NOT_ON_A_LINE = /[\p{Cc}\p{Cs}]/u
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u
/** Joiners and variation selectors: emoji and some scripts need them. */
const JOINERS = /\u200C|\u200D|\uFE0E|\uFE0F/gu

/**
 * Returns the value of a decimal digit of any script. Unicode has digits in runs of ten, from zero on; some runs are adjacent.
 *
 * @param digit of the category Nd
 */
function digitValue (digit: string): string {
  const point = digit.codePointAt(0)!
  let first = point
  while (/\p{Nd}/u.test(String.fromCodePoint(first - 1))) first--
  return String((point - first) % 10)
}

/**
 * Returns a text without the characters of one kind at its end. `/x+$/` takes a time in the square of their number where they stand
 * in the middle.
 *
 * @param kind of one unit of UTF-16
 */
function withoutEnd (text: string, kind: RegExp): string {
  let end = text.length
  while (end > 0 && kind.test(text.charAt(end - 1))) end--
  return text.slice(0, end)
}

/** Returns the symbols of a typed code in compatibility form: no dashes, white space or format characters, digits in ASCII. */
export function typedSymbols (text: string): string {
  if (PLAIN.test(text)) return text
  return text.normalize('NFKC').replace(SEPARATORS, '').replace(/[^\P{Nd}0-9]/gu, digitValue)
}

/** Returns `typedSymbols` without full stops at the end, for codes in which a full stop is no symbol. */
export function typedCode (text: string): string {
  return withoutEnd(typedSymbols(text), FULL_STOP)
}

/** Returns a name in compatibility form, without white space at its ends. Keeps all other characters. */
export function trimmedName (text: string): string {
  return withoutEnd(text.normalize('NFKC').replace(/^\p{White_Space}+/u, ''), WHITE_SPACE)
}

/**
 * Returns a typed name in the form used for a look-up.
 *
 * @param longest in characters of its normal form
 * @returns null if it is none: empty, too long, or not on one line
 */
export function soughtName (text: string, longest: number): string | null {
  const name = trimmedName(text)
  return name === '' || [...name].length > longest || NOT_ON_A_LINE.test(name) ? null : name
}

/** Returns `soughtName` for a name to store; null also for invisible characters, since two names that look alike must be equal. */
export function newName (text: string, longest: number): string | null {
  const name = soughtName(text, longest)
  if (name === null || !INVISIBLE.test(name)) return name
  const visible = name.replace(JOINERS, '')
  return visible === '' || INVISIBLE.test(visible) ? null : name
}
