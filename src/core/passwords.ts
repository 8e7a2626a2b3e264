/** NIST SP 800-63B §3.1.1.2 asks for at least 64; past this a password is a way to keep the hasher busy. */
export const PASSWORD_MAX_LENGTH = 1024

/** One text for one password, however the keyboard composed its accents. */
export function normalisePassword (password: string): string {
  return password.normalize('NFC')
}
