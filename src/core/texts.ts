/*
 * What people type about themselves and others, wherever they do. Patterns as JSON Schema takes them; as a `RegExp` with the
 * flag `u`. Lengths are in characters.
 */

/**
 * Text that ends up in a row or a log: on one line, without NUL (Postgres knows none) and without halves of surrogate
 * pairs, which would be stored as something else.
 */
export const LINE = '^[^\\p{Cc}\\p{Cs}]*$'

/** No more than what a mail server would have to be asked about: something, an @, something. */
export const EMAIL = '^[^\\s\\p{Cc}\\p{Cs}@]+@[^\\s\\p{Cc}\\p{Cs}@]+$'

export const longest = { email: 254, phone: 64, firstName: 128, lastName: 128, reason: 500, deviceName: 64 } as const

/** What an e-mail address is looked up by: the case of ASCII letters counts for nothing, nor does white space at the ends. */
export function emailKey (email: string): string {
  return email.trim().replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

/** A code with a separator beside each symbol, and more around it. */
export const LONGEST_TYPED_CODE = 256
