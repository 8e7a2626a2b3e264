/** Letters, digits and @ . + - _ of any script: what is left to print, and nothing to misread. */
const USERNAME = /^[\p{L}\p{N}@.+_-]{1,150}$/u

/** The username as it is kept, in compatibility form; null if that is none. */
export function normaliseUsername (username: string): string | null {
  const normal = username.normalize('NFKC')
  return USERNAME.test(normal) ? normal : null
}

/**
 * Usernames are one whatever their case and width: `Ada`, `ADA` and `ａｄａ` are the same person. A sigma is one letter at the
 * end of a word too, and what only became composable by being small is composed.
 */
export function usernameKey (username: string): string {
  return username.normalize('NFKC').toLowerCase().replaceAll('ς', 'σ').normalize('NFKC')
}
