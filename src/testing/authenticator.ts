import { codeAt } from '../core/totp/otplib.js'
import { totpStep, type TotpParameters } from '../core/totp/totp.js'

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** Authenticator app with one account. */
export interface Authenticator {
  /** Shown by the app beside the code. */
  readonly issuer: string
  /** Account, as the app shows it. */
  readonly label: string
  /** Returns the code that the app shows at a time, used or not. @default now, by the clock of this process */
  code (at?: Date): string
}

/**
 * Reads the address of a QR code, as a phone does.
 *
 * @param otpUrl the address in the answer of `…/create`
 * @throws {TypeError} if an authenticator app could not read it
 */
export function authenticator (otpUrl: string): Authenticator {
  const { protocol, host, pathname, searchParams } = new URL(otpUrl)
  const secret = fromBase32(searchParams.get('secret') ?? '')
  const algorithm = searchParams.get('algorithm') ?? 'SHA1'
  const digits = Number(searchParams.get('digits') ?? 6)
  const periodSeconds = Number(searchParams.get('period') ?? 30)
  const parameters: TotpParameters = { digits, periodSeconds, t0Seconds: 0 }
  const isTotp = protocol === 'otpauth:' && host === 'totp' && algorithm === 'SHA1'
  if (!isTotp || secret.length === 0 || !(digits > 0) || !(periodSeconds > 0)) {
    throw new TypeError('Not an otpauth://totp/ address of SHA-1 with a secret')
  }
  const [issuer = '', label = ''] = pathname.slice(1).split(':').map(decodeURIComponent)
  return {
    issuer,
    label,
    code: (at = new Date()) => codeAt(secret, totpStep(parameters, at.getTime() / 1000), parameters)
  }
}

function fromBase32 (text: string): Buffer {
  const bits = Array.from(text, (symbol) => BASE32.indexOf(symbol).toString(2).padStart(5, '0')).join('')
  if (!/^[01]*$/.test(bits)) throw new TypeError('Not base32')
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)))
}
