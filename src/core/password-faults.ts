import { dictionary } from '@zxcvbn-ts/language-common'
import { PASSWORD_MAX_LENGTH } from './passwords.js'
import { usernameKey } from './usernames.js'

/** The passwords that everybody tries first: a kept list of some fifty thousand. */
const common = new Set(dictionary['passwords-common'] as string[])

export type PasswordFault = 'too short' | 'too long' | 'common' | 'the username'

/**
 * Null if a new password may be used. No rules of composition (NIST): any character, and all of them count.
 *
 * @param password as `normalisePassword` gives it
 * @param minLength in characters
 */
export function passwordFault (password: string, username: string, minLength: number): PasswordFault | null {
  const length = [...password].length
  if (length < minLength) return 'too short'
  if (length > PASSWORD_MAX_LENGTH) return 'too long'
  if (common.has(password.toLowerCase())) return 'common'
  return usernameKey(password) === usernameKey(username) ? 'the username' : null
}
