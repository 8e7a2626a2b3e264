/*
 * What people type is brought into one form before it is checked: keyboards, phones and copied text spell the same thing in many
 * ways. Passwords are not among it: theirs is NFC alone (`passwords.ts`).
 */

/** What stands between the symbols of a code and means nothing. The last three are used as dashes and are none by their property. */
const SEPARATORS = /[\p{Dash}\p{Pd}\p{White_Space}\p{Cf}\p{Default_Ignorable_Code_Point}\u02D7\u2043\u30FC]/gu
/** At the end of a sentence in which a code stood. */
const FULL_STOPS = /[.\u0589\u06D4\u0964\u3002]+$/u
const ENDS = /^\p{White_Space}+|\p{White_Space}+$/gu
const NOT_ON_A_LINE = /[\p{Cc}\p{Cs}]/u
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/u
/** Joiners and variation selectors: emoji and some scripts are written with them. */
const JOINERS = /\u200C|\u200D|\uFE0E|\uFE0F/gu

/**
 * The value of a decimal digit of any script. Unicode has them in runs of ten, from zero on; some runs stand side by side.
 *
 * @param digit of the category Nd
 */
function digitValue (digit: string): string {
  const point = digit.codePointAt(0)!
  let first = point
  while (/\p{Nd}/u.test(String.fromCodePoint(first - 1))) first--
  return String((point - first) % 10)
}

/** The symbols of a code that was typed, in compatibility form: without dashes, white space and format characters, digits in ASCII. */
export function typedSymbols (text: string): string {
  return text.normalize('NFKC').replace(SEPARATORS, '').replace(/[^\P{Nd}0-9]/gu, digitValue)
}

/** The same without a full stop at the end, for codes that have no other use for it. */
export function typedCode (text: string): string {
  return typedSymbols(text).replace(FULL_STOPS, '')
}

/** A name in compatibility form, without white space at its ends: whatever else it has is kept. */
export function trimmedName (text: string): string {
  return text.normalize('NFKC').replace(ENDS, '')
}

/**
 * A name to look for, as it was typed.
 *
 * @param longest in characters of its normal form
 * @returns null if it is none: empty, too long, or not on one line
 */
export function soughtName (text: string, longest: number): string | null {
  const name = trimmedName(text)
  return name === '' || [...name].length > longest || NOT_ON_A_LINE.test(name) ? null : name
}

/** The same for a name to keep: what cannot be seen is refused, so that two names that look alike are alike. */
export function newName (text: string, longest: number): string | null {
  const name = soughtName(text, longest)
  if (name === null || !INVISIBLE.test(name)) return name
  const visible = name.replace(JOINERS, '')
  return visible === '' || INVISIBLE.test(visible) ? null : name
}
