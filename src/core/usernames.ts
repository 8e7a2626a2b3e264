import { newName, trimmedName } from './normal-forms.js'

/** In characters of the normal form. */
export const USERNAME_MAX_LENGTH = 150
/** Letters, digits and @ . + - _ of any script: what is left to print, and nothing to misread. */
const USERNAME = /^[\p{L}\p{N}@.+_-]+$/u

/** A new username as it is kept, in compatibility form; null if that is none. Some letters cannot be seen: no new name has them. */
export function normaliseUsername (username: string): string | null {
  const name = newName(username, USERNAME_MAX_LENGTH)
  return name !== null && USERNAME.test(name) ? name : null
}

/**
 * Usernames are one whatever their case and width: `Ada`, `ADA` and `ａｄａ` are the same person. A sigma is one letter at the
 * end of a word too, and what only became composable by being small is composed.
 */
export function usernameKey (username: string): string {
  return username.normalize('NFKC').toLowerCase().replaceAll('ς', 'σ').normalize('NFKC')
}

/**
 * The keys under which a typed username may be kept, the likelier one last. Names that were brought over by an older version may
 * have white space at their ends, so that it is part of such a name if there is one.
 */
export function soughtKeys (username: string): [asTyped: string, trimmed: string] {
  return [usernameKey(username), usernameKey(trimmedName(username))]
}
