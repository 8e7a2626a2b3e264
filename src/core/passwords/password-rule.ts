import { PASSWORD_MAX_LENGTH } from './passwords.js'
import { Refusal, type PasswordReason } from '../refusals.js'
import { soughtKeys, usernameKey } from '../usernames.js'

let common: Promise<ReadonlySet<string>> | undefined

/** Loads a maintained list of some fifty thousand common passwords. It takes 16 MB, so it is loaded at the first use. */
function commonPasswords (): Promise<ReadonlySet<string>> {
  common ??= import('@zxcvbn-ts/language-common').then(({ dictionary }) => new Set(dictionary['passwords-common'] as string[]))
  return common
}

export type PasswordFault = 'too short' | 'too long' | 'common' | 'the username' | 'made of names' | 'known from a breach'

/** Rule for new passwords. */
export interface PasswordRule {
  /** In characters. */
  minLength: number
  /** Context words: names of the service, of its product and of its domain. */
  words: readonly string[]
  /** Asks a list of breached passwords; null where there is none. False if the list does not answer. */
  isBreached: ((password: string) => Promise<boolean>) | null
}

/** User of a new password, with any first and last names. */
export interface PasswordOwner { username: string, names: readonly string[] }

/** A shorter word is part of too many others. */
const SHORTEST_WORD = 3

const reasons: Readonly<Record<PasswordFault, PasswordReason>> = {
  'too short': 'too_short',
  'too long': 'too_long',
  common: 'common',
  'the username': 'is_username',
  'made of names': 'context_words',
  'known from a breach': 'breached'
}

/** Returns the refusal of a new password with this fault. */
export function unacceptable (fault: PasswordFault): Refusal {
  const reason = reasons[fault]
  return new Refusal('PASSWORD_UNACCEPTABLE', { reason, hint: { key: `password_${reason}` } })
}

/**
 * Returns the fault of a new password; null if it may be used. No composition rules (NIST): all characters are allowed and count.
 *
 * @param password as `normalisePassword` gives it
 */
export async function passwordFault (
  password: string, { username, names }: PasswordOwner, { minLength, words, isBreached }: PasswordRule
): Promise<PasswordFault | null> {
  const length = [...password].length
  if (length < minLength) return 'too short'
  if (length > PASSWORD_MAX_LENGTH) return 'too long'
  if ((await commonPasswords()).has(password.toLowerCase())) return 'common'
  if (soughtKeys(password).includes(usernameKey(username))) return 'the username'
  if (isMadeOf(password, [...words, ...names])) return 'made of names'
  return isBreached !== null && await isBreached(password) ? 'known from a breach' : null
}

/** True if nothing but digits, spaces and punctuation is left of the password without these words, in any case. */
function isMadeOf (password: string, words: readonly string[]): boolean {
  const lowered = password.toLowerCase()
  // The longest first: `hopper` would leave a part of `hoppers`.
  const sought = words.map((word) => word.normalize('NFC').toLowerCase()).filter((word) => [...word].length >= SHORTEST_WORD)
    .sort((a, b) => b.length - a.length)
  const rest = sought.reduce((left, word) => left.replaceAll(word, ' '), lowered)
  return rest !== lowered && !/[\p{L}\p{S}\p{M}]/u.test(rest)
}
