import type { TotpAlgorithm } from '../../core/totp/otplib.js'

/** Secret of an authenticator app in exactly one encoding, or its bytes. */
export type SecretRecord = { base32: string } | { hex: string } | { text: string } | { otpauth: string } | Uint8Array

export interface ReadSecret {
  key: Uint8Array
  /** Parameters that an otpauth URI brings. */
  parameters: { algorithm?: TotpAlgorithm, digits?: number, periodSeconds?: number }
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/**
 * Reads base32 as apps do: in any case, spaces and padding apart. Bits left over at the end are dropped.
 *
 * @returns null if it is none
 */
export function fromBase32 (text: string): Buffer | null {
  const symbols = text.replace(/[\s=]/g, '').toUpperCase()
  // A number of symbols that no bytes have.
  if (symbols === '' || [1, 3, 6].includes(symbols.length % 8)) return null
  const bytes: number[] = []
  let [value, bits] = [0, 0]
  for (const symbol of symbols) {
    const digit = LETTERS.indexOf(symbol)
    if (digit < 0) return null
    value = ((value << 5) | digit) & 0xfff
    bits += 5
    if (bits >= 8) {
      bits -= 8
      bytes.push((value >> bits) & 255)
    }
  }
  return Buffer.from(bytes)
}

/** Returns the key of a secret, or the fault, which follows "its secret": never a part of it. */
export function readSecret (secret: SecretRecord): ReadSecret | { fault: string } {
  if (secret instanceof Uint8Array) return { key: secret, parameters: {} }
  if ('otpauth' in secret) return readOtpauth(secret.otpauth)
  if ('text' in secret) return { key: Buffer.from(secret.text), parameters: {} }
  if ('hex' in secret) {
    return /^([0-9a-f]{2})+$/i.test(secret.hex) ? { key: Buffer.from(secret.hex, 'hex'), parameters: {} } : { fault: 'is not hexadecimal' }
  }
  const key = fromBase32(secret.base32)
  return key === null ? { fault: 'is not base32' } : { key, parameters: {} }
}

/** Key Uri Format of Google Authenticator. */
function readOtpauth (text: string): ReadSecret | { fault: string } {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url?.protocol !== 'otpauth:') return { fault: 'is no otpauth URI' }
  // The host of such a URI is the type. Some parsers take it for a part of the path.
  const type = url.host === '' ? url.pathname.replace(/^\/+/, '').split('/', 1)[0]! : url.host
  if (type.toLowerCase() !== 'totp') return { fault: 'is counter-based, not time-based' }
  const query = url.searchParams
  const secrets = query.getAll('secret')
  const key = secrets.length === 1 ? fromBase32(secrets[0]!) : null
  if (key === null) return { fault: 'is an otpauth URI without one base32 secret' }
  const algorithm = query.get('algorithm')?.toUpperCase().replace('SHA-', 'SHA')
  if (algorithm !== undefined && !isAlgorithm(algorithm)) return { fault: 'is for an algorithm that is not known here' }
  const [digits, periodSeconds] = ['digits', 'period'].map((name) => query.has(name) ? Number(query.get(name)) : undefined)
  if ([digits, periodSeconds].some((value) => value !== undefined && !Number.isSafeInteger(value))) {
    return { fault: 'has digits or a period that is no number' }
  }
  return {
    key,
    parameters: {
      ...(algorithm === undefined ? {} : { algorithm }),
      ...(digits === undefined ? {} : { digits }),
      ...(periodSeconds === undefined ? {} : { periodSeconds })
    }
  }
}

export function isAlgorithm (text: string): text is TotpAlgorithm {
  return ['SHA1', 'SHA256', 'SHA512'].includes(text)
}
