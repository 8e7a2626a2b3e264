import { timingSafeEqual } from 'node:crypto'
import { createGuardrails } from '@otplib/core'
import { crypto } from '@otplib/plugin-crypto-node'
import { generateSync } from '@otplib/totp'

/*
 * Adapts otplib 13, which computes the codes. The packages are imported that it is made of: `otplib` itself loads
 * another implementation of HMAC too, starts four times as slowly, and takes three times as long for each step.
 */

/** Hash of the HMAC (RFC 6238 §1.2), by the name that it has in otpauth URIs. */
export type TotpAlgorithm = 'SHA1' | 'SHA256' | 'SHA512'

/** Parameters of one code: the step in place of the time, so that only the caller knows the start of time. */
export interface StepParameters {
  /** Digits of a code: 6 to 8. */
  digits: number
  /** Length of a step. */
  periodSeconds: number
  /** Digest of the HMAC. @default 'SHA1' */
  algorithm?: TotpAlgorithm
}

/** Imported secrets have 80 bits and more, and periods are stored in 31 bits. Which ones are accepted is decided where they come in. */
const guardrails = createGuardrails({ MIN_SECRET_BYTES: 1, MAX_SECRET_BYTES: 1024, MAX_PERIOD: 2 ** 31 - 1 })

const optionsAt = (secret: Uint8Array, step: number, { digits, periodSeconds, algorithm = 'SHA1' }: StepParameters) => ({
  secret,
  epoch: step * periodSeconds,
  period: periodSeconds,
  digits: digits as 6 | 7 | 8,
  algorithm: algorithm.toLowerCase() as Lowercase<TotpAlgorithm>,
  crypto,
  guardrails
})

/**
 * Returns the code of a step.
 *
 * @throws if the secret or the parameters are unusable
 */
export function codeAt (secret: Uint8Array, step: number, parameters: StepParameters): string {
  return generateSync(optionsAt(secret, step, parameters))
}

/**
 * Compares a code with the one of a step, in constant time. otplib's own comparison checks every option a second time, which takes as
 * long as the code itself. A code of another length is compared too, cut or filled up, and does not match. So each device and step
 * takes the same time.
 *
 * @throws if the secret or the parameters are unusable; not for any code
 */
export function isCodeOf (secret: Uint8Array, step: number, parameters: StepParameters, code: string): boolean {
  const { digits } = parameters
  const expected = Buffer.from(codeAt(secret, step, parameters))
  const given = Buffer.from(code.slice(-digits).padStart(digits, '0'))
  return given.length === expected.length && timingSafeEqual(given, expected) && code.length === digits
}
