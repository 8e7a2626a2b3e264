/*
 * Rules for text about users. The patterns are for JSON Schema, or for a `RegExp` with the flag `u`. Lengths are in characters.
 */

/**
 * Text for a row or a log: one line, without NUL (PostgreSQL cannot store it) and without unpaired surrogates, which would be
 * stored as another character.
 */
export const LINE = '^[^\\p{Cc}\\p{Cs}]*$'

/** Text, an @, text. Only the mail server can check more. */
export const EMAIL = '^[^\\s\\p{Cc}\\p{Cs}@]+@[^\\s\\p{Cc}\\p{Cs}@]+$'

export const longest = { email: 254, phone: 64, firstName: 128, lastName: 128, reason: 500, deviceName: 64 } as const

/** Returns the look-up key of an e-mail address: ASCII letters in lower case, no white space at the ends. */
export function emailKey (email: string): string {
  return email.trim().replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

/** Enough for a code with a separator beside each symbol, and more around it. */
export const LONGEST_TYPED_CODE = 256
