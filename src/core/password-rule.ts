import { PASSWORD_MAX_LENGTH } from './passwords.js'
import { Refusal, type PasswordReason } from './refusals.js'
import { soughtKeys, usernameKey } from './usernames.js'

let common: Promise<ReadonlySet<string>> | undefined

/** Loads a maintained list of some fifty thousand common passwords. It takes 16 MB, so it is loaded at the first use. */
function commonPasswords (): Promise<ReadonlySet<string>> {
  common ??= import('@zxcvbn-ts/language-common').then(({ dictionary }) => new Set(dictionary['passwords-common'] as string[]))
  return common
}

export type PasswordFault = 'too short' | 'too long' | 'common' | 'the username'

const reasons: Readonly<Record<PasswordFault, PasswordReason>> = {
  'too short': 'too_short', 'too long': 'too_long', common: 'common', 'the username': 'is_username'
}

/** Returns the refusal of a new password with this fault. */
export function unacceptable (fault: PasswordFault): Refusal {
  return new Refusal('PASSWORD_UNACCEPTABLE', { reason: reasons[fault], hint: `Choose another password: this one is ${fault}.` })
}

/**
 * Returns the fault of a new password; null if it may be used. No composition rules (NIST): all characters are allowed and count.
 *
 * @param password as `normalisePassword` gives it
 * @param minLength in characters
 */
export async function passwordFault (password: string, username: string, minLength: number): Promise<PasswordFault | null> {
  const length = [...password].length
  if (length < minLength) return 'too short'
  if (length > PASSWORD_MAX_LENGTH) return 'too long'
  if ((await commonPasswords()).has(password.toLowerCase())) return 'common'
  return soughtKeys(password).includes(usernameKey(username)) ? 'the username' : null
}
