import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { typedSymbols } from './normal-forms.js'

/** What a device computes codes from. New devices take `standardTotp`: what every authenticator app does. */
export interface TotpParameters {
  digits: number
  periodSeconds: number
  /** Unix time at which step 0 begins (RFC 6238 `T0`). */
  t0Seconds: number
}

/** SHA-1, 6 digits, 30 s from the epoch (RFC 6238): apps ignore or refuse anything else. */
export const standardTotp: TotpParameters = { digits: 6, periodSeconds: 30, t0Seconds: 0 }

/** 160 bits: the length RFC 4226 R6 recommends, and the block of SHA-1 that apps expect. */
export const SECRET_BYTES = 20

export function newTotpSecret (): Buffer {
  return randomBytes(SECRET_BYTES)
}

/** RFC 4226 §5.3. */
export function hotp (secret: Uint8Array, counter: number, digits: number): string {
  const message = Buffer.alloc(8)
  message.writeBigUInt64BE(BigInt(counter))
  const mac = createHmac('sha1', secret).update(message).digest()
  const offset = mac.readUInt8(mac.length - 1) & 0x0f
  const number = (mac.readUInt32BE(offset) & 0x7fff_ffff) % 10 ** digits
  return String(number).padStart(digits, '0')
}

export function totpStep ({ periodSeconds, t0Seconds }: TotpParameters, nowSeconds: number): number {
  return Math.floor((nowSeconds - t0Seconds) / periodSeconds)
}

const CODE = /^[0-9]{6,8}$/

/**
 * The digits of a code as it was typed: those of any script, without the spaces and dashes that apps show or copied text brings.
 * Null if it is no code: `Number()` would take "+21639" and "121639.7" too.
 */
export function normaliseTotp (text: string): string | null {
  if (CODE.test(text)) return text
  const digits = typedSymbols(text)
  return CODE.test(digits) ? digits : null
}

export interface TotpJudgement extends TotpParameters {
  /** The last step that was accepted; nothing up to it is accepted again. -1 if none was. */
  lastStep: number
  /** How many steps on each side of now are accepted. */
  window: number
}

/** `used`: the digits are those of a step that was accepted before. For counting; the answer must not tell. */
export type TotpCheck = { accepted: true, step: number } | { accepted: false, used: boolean }

/**
 * Says which time step matched, because whoever accepts the code must store that step, and refuse it and all
 * before it from then on (RFC 6238 §5.2: a code is used once).
 *
 * Every step of the window is computed and compared, matched or not, so that right, wrong and used take the same time.
 * Bad input is wrong, not an exception. Both are why this is `node:crypto` and not otplib, which throws, and takes 38 µs
 * for three steps where this takes 11; otplib and oathtool are what the tests compare it with.
 *
 * @param code digits as `normaliseTotp` gives them
 * @param nowSeconds Unix time in seconds, read once; the caller owns the clock
 */
export function checkTotp (secret: Uint8Array, code: string, nowSeconds: number, judgement: TotpJudgement): TotpCheck {
  const now = totpStep(judgement, nowSeconds)
  let matched = -1
  let used = false
  for (let step = now - judgement.window; step <= now + judgement.window; step++) {
    if (step < 0) continue
    const equal = sameDigits(hotp(secret, step, judgement.digits), code)
    if (equal && step > judgement.lastStep) matched = step
    else if (equal) used = true
  }
  return matched < 0 ? { accepted: false, used } : { accepted: true, step: matched }
}

function sameDigits (expected: string, given: string): boolean {
  const [one, other] = [Buffer.from(expected), Buffer.from(given)]
  return one.length === other.length && timingSafeEqual(one, other)
}

/** Beyond this a label is not read on a phone, and in some scripts would not fit into a QR code. */
const LABEL_CHARACTERS = 100

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** RFC 4648 base32 without padding: what authenticator apps take. */
export function base32 (bytes: Uint8Array): string {
  let bits = 0
  let value = 0
  let text = ''
  for (const byte of bytes) {
    value = (value << 8) | byte
    bits += 8
    while (bits >= 5) {
      bits -= 5
      text += BASE32[(value >>> bits) & 31]
    }
    value &= (1 << bits) - 1
  }
  return bits > 0 ? text + BASE32[(value << (5 - bits)) & 31] : text
}

/**
 * The URI behind the QR code (Key URI format). Its parameters are those that `checkTotp` is called with.
 * A colon separates issuer and label, so it is replaced in the label; the issuer's is refused at start.
 */
export function otpauthUrl (issuer: string, label: string, secret: Uint8Array, { digits, periodSeconds }: TotpParameters): string {
  const text = (part: string) => encodeURIComponent(part.replace(/\p{Surrogate}/gu, '\uFFFD'))
  const shown = [...label.replaceAll(':', '-')].slice(0, LABEL_CHARACTERS).join('')
  return `otpauth://totp/${text(issuer)}:${text(shown)}` +
    `?secret=${base32(secret)}&issuer=${text(issuer)}&algorithm=SHA1&digits=${digits}&period=${periodSeconds}`
}

/**
 * Whether some readers of the URI refuse an issuer, or show another one, although it is encoded correctly: pyotp 2.6.0 (Debian 12)
 * decodes the whole URI before it splits it at these characters.
 */
export function isMisread (issuer: string): boolean {
  return /[&+#?]/.test(issuer)
}
