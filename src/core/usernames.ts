import { newName, trimmedName } from './normal-forms.js'

/** In characters of the normal form. */
export const USERNAME_MAX_LENGTH = 150
/** Letters and digits of any script, and @ . + - _: all printable. */
const USERNAME = /^[\p{L}\p{N}@.+_-]+$/u

/** Returns a new username as it is stored, in compatibility form; null if it is not allowed. A new name has no invisible letters. */
export function normaliseUsername (username: string): string | null {
  const name = newName(username, USERNAME_MAX_LENGTH)
  return name !== null && USERNAME.test(name) ? name : null
}

/**
 * Returns the key by which usernames are equal regardless of case and width: `Ada`, `ADA` and `ａｄａ` are the same user.
 * A final sigma equals a sigma. The second NFKC composes characters that are composable only in lower case.
 */
export function usernameKey (username: string): string {
  return username.normalize('NFKC').toLowerCase().replaceAll('ς', 'σ').normalize('NFKC')
}

/**
 * Returns the keys under which a typed username may be stored, the likelier one last. Names that an older version imported may
 * have white space at their ends, which is part of the name then.
 */
export function soughtKeys (username: string): [asTyped: string, trimmed: string] {
  return [usernameKey(username), usernameKey(trimmedName(username))]
}
