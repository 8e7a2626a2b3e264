import { randomBytes } from 'node:crypto'
import { typedSymbols } from '../normal-forms.js'
import { shortened } from '../texts.js'
import { isCodeOf, type StepParameters } from './otplib.js'

/** Parameters by which a device computes codes. New devices use `standardTotp`, which every authenticator app supports. */
export interface TotpParameters extends StepParameters {
  /** Unix time at which step 0 begins (RFC 6238 `T0`). */
  t0Seconds: number
}

/** SHA-1, 6 digits, 30 s from the epoch (RFC 6238): apps ignore or refuse anything else. */
export const standardTotp: TotpParameters = { digits: 6, periodSeconds: 30, t0Seconds: 0 }

/** 160 bits: the length RFC 4226 R6 recommends, and the block of SHA-1 that apps expect. */
export const SECRET_BYTES = 20

/** Returns a new random secret for an authenticator app. */
export function newTotpSecret (): Buffer {
  return randomBytes(SECRET_BYTES)
}

/** Returns the number of the step that a time is in. */
export function totpStep ({ periodSeconds, t0Seconds }: TotpParameters, nowSeconds: number): number {
  return Math.floor((nowSeconds - t0Seconds) / periodSeconds)
}

/** Returns the Unix time at which the next step begins: then, codes are accepted that are refused now. */
export function nextStepSeconds (parameters: TotpParameters, nowSeconds: number): number {
  return parameters.t0Seconds + (totpStep(parameters, nowSeconds) + 1) * parameters.periodSeconds
}

const CODE = /^[0-9]{6,8}$/

/**
 * Returns the digits of a typed code in ASCII, without the spaces and dashes of apps and copied text. Digits of any script count.
 * Null if it is no code: `Number()` would accept "+21639" and "121639.7" too.
 */
export function normaliseTotp (text: string): string | null {
  if (CODE.test(text)) return text
  const digits = typedSymbols(text)
  return CODE.test(digits) ? digits : null
}

/** Parameters of a device, with what decides whether a matching code is accepted. */
export interface TotpJudgement extends TotpParameters {
  /** Last accepted step; it and all steps before it are refused. -1 if no step was accepted. */
  lastStep: number
  /** Number of steps accepted on each side of the current one. */
  window: number
}

/** `used`: the digits belong to a step that is no longer accepted. For counters only; the answer must not say so. */
export type TotpCheck = { accepted: true, step: number } | { accepted: false, used: boolean }

/**
 * Returns the matched time step. The caller must store it, and refuse it and all steps before it from then on (RFC 6238 §5.2:
 * a code is used once).
 *
 * Computes and compares every step of the window, so that right, wrong and used codes take the same time. Bad input is a wrong
 * code, not an exception. otplib computes the code of each step (otplib.ts); the tests compare it with `node:crypto` and oathtool.
 *
 * @param code digits as `normaliseTotp` gives them
 * @param nowSeconds Unix time in seconds, read once; the caller owns the clock
 * @throws if the secret is empty or longer than 1024 bytes, or the parameters are unusable
 */
export function checkTotp (secret: Uint8Array, code: string, nowSeconds: number, judgement: TotpJudgement): TotpCheck {
  const now = totpStep(judgement, nowSeconds)
  let matched = -1
  let used = false
  for (let step = now - judgement.window; step <= now + judgement.window; step++) {
    if (step < 0) continue
    const equal = isCodeOf(secret, step, judgement, code)
    if (equal && step > judgement.lastStep) matched = step
    else if (equal) used = true
  }
  return matched < 0 ? { accepted: false, used } : { accepted: true, step: matched }
}

/** A longer label is not readable on a phone, and in some scripts would not fit into a QR code. */
const LABEL_CHARACTERS = 100

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** Encodes as RFC 4648 base32 without padding, the form that authenticator apps accept. */
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
 * Returns the URI of the QR code (Key URI format). Use the same parameters as for `checkTotp`.
 * A colon separates issuer and label, so it is replaced in the label; an issuer with a colon is refused at start.
 */
export function otpauthUrl (issuer: string, label: string, secret: Uint8Array, parameters: TotpParameters): string {
  const { digits, periodSeconds, algorithm = 'SHA1' } = parameters
  const text = (part: string) => encodeURIComponent(part.replace(/\p{Surrogate}/gu, '\uFFFD'))
  const shown = shortened(label.replaceAll(':', '-'), LABEL_CHARACTERS)
  return `otpauth://totp/${text(issuer)}:${text(shown)}` +
    `?secret=${base32(secret)}&issuer=${text(issuer)}&algorithm=${algorithm}&digits=${digits}&period=${periodSeconds}`
}

/**
 * Returns why some readers of the URI refuse the issuer or compute other codes, although it is encoded correctly: pyotp 2.6.0
 * (Debian 12) decodes the whole URI before it splits it, ykman 4.0.9 keeps a period in front of the name on a YubiKey, as `24/`, and
 * Pass::OTP 1.5 (Perl) makes Steam's codes for each issuer that begins so.
 */
export function misreadings (issuer: string): string[] {
  return [
    ...(/[&+#?]/.test(issuer) ? ['has one of & + # ?, which some authenticators cannot read (pyotp 2.6.0)'] : []),
    ...(/^\p{Nd}+\//u.test(issuer) ? ['begins with digits and a slash, which make every code of a YubiKey wrong (ykman 4.0.9)'] : []),
    ...(/^steam/i.test(issuer) ? ['begins with "Steam", which makes every code of some authenticators one of Steam (Pass::OTP 1.5)'] : [])
  ]
}
