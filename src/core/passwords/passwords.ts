/** In characters. NIST SP 800-63B §3.1.1.2 requires at least 64; a longer text than this could be sent to keep the hasher busy. */
export const PASSWORD_MAX_LENGTH = 1024

/** Returns one text for one password: keyboards compose accents differently. */
export function normalisePassword (password: string): string {
  return password.normalize('NFC')
}
