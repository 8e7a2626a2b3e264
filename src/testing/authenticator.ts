import { hotp, totpStep, type TotpParameters } from '../core/totp.js'

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** An authenticator app with one account on it. */
export interface Authenticator {
  /** What the app shows beside the code. */
  readonly issuer: string
  readonly label: string
  /** The code that it shows at that time; now, by this process' clock. Used or not: the app does not know. */
  code (at?: Date): string
}

/**
 * Does what a phone does with the QR code.
 *
 * @param otpUrl as `…/create` answers it
 * @throws {TypeError} if an authenticator app could not read it
 */
export function authenticator (otpUrl: string): Authenticator {
  const { protocol, host, pathname, searchParams } = new URL(otpUrl)
  const secret = fromBase32(searchParams.get('secret') ?? '')
  const algorithm = searchParams.get('algorithm') ?? 'SHA1'
  const parameters: TotpParameters = { digits: Number(searchParams.get('digits') ?? 6), periodSeconds: Number(searchParams.get('period') ?? 30), t0Seconds: 0 }
  if (protocol !== 'otpauth:' || host !== 'totp' || secret.length === 0 || algorithm !== 'SHA1' || !(parameters.digits > 0) || !(parameters.periodSeconds > 0)) {
    throw new TypeError('Not an otpauth://totp/ address of SHA-1 with a secret')
  }
  const [issuer = '', label = ''] = pathname.slice(1).split(':').map(decodeURIComponent)
  return {
    issuer,
    label,
    code: (at = new Date()) => hotp(secret, totpStep(parameters, at.getTime() / 1000), parameters.digits)
  }
}

function fromBase32 (text: string): Buffer {
  const bits = Array.from(text, (symbol) => BASE32.indexOf(symbol).toString(2).padStart(5, '0')).join('')
  if (!/^[01]*$/.test(bits)) throw new TypeError('Not base32')
  return Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)))
}
