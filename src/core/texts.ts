/*
 * Rules for text about users. Lengths are in characters. The patterns mean the same with and without the flag `u`, because
 * generated clients compile them without it, where `\p{Cs}` is no class and a character beyond U+FFFF is two units: both
 * halves of such a pair are accepted together, and a half alone never.
 */
const CONTROLS = '\\x00-\\x1f\\x7f-\\x9f'
const HALVES = '\\ud800-\\udfff'

/** Returns the pattern of one character that is no half of a pair and none of a class's content. */
const allBut = (excluded: string): string => `(?:[^${excluded}${HALVES}]|[\\ud800-\\udbff][\\udc00-\\udfff])`

/** Any text without halves of surrogate pairs, which would be stored or hashed as another character. */
export const WHOLE = `^${allBut('')}*$`

/** Text for a row or a log: one line, without NUL, which PostgreSQL cannot store. */
export const LINE = `^${allBut(CONTROLS)}*$`

/** Text, an @, text. Only the mail server can check more. */
export const EMAIL = `^${allBut(`\\s${CONTROLS}@`)}+@${allBut(`\\s${CONTROLS}@`)}+$`

/** Address of a web page or service. */
export const WEB_ADDRESS = `^https?://${allBut(`\\s${CONTROLS}`)}+$`

/** Text that PostgreSQL can store. */
export const STORABLE = `^${allBut('\\x00')}+$`

export const longest = { email: 254, phone: 64, firstName: 128, lastName: 128, reason: 500, deviceName: 64 } as const

/**
 * Returns the beginning of a text without half a visible character at its end: half a surrogate pair, a letter without its accent.
 *
 * @param most in characters, as all lengths here
 */
export function shortened (text: string, most: number): string {
  if (text.length <= most) return text
  const characters = [...text]
  if (characters.length <= most) return text
  const end = characters.slice(0, most).join('').length
  const { index } = new Intl.Segmenter().segment(text).containing(end)!
  // At the start if one visible character is longer than the limit: any number of accents may follow a letter.
  return text.slice(0, index === 0 ? end : index)
}

/** Returns the look-up key of an e-mail address: ASCII letters in lower case, no white space at the ends. */
export function emailKey (email: string): string {
  return email.trim().replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

/** Enough for a code with a separator beside each symbol, and more around it. */
export const LONGEST_TYPED_CODE = 256
