import { createGuardrails, TokenError } from '@otplib/core'
import { crypto } from '@otplib/plugin-crypto-node'
import { generateSync, verifySync } from '@otplib/totp'

/*
 * Adapts otplib 13, which computes and compares the codes. The packages are imported that it is made of: `otplib` itself loads
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
 * Compares a code with the one of a step, in constant time. It is otplib's judgement of this step alone: with a tolerance it
 * would return at the first match, and with `afterTimeStep` it would skip steps. A code of another length is compared too,
 * cut or filled up, and does not match. So each device and step takes the same time.
 *
 * @throws if the secret or the parameters are unusable; not for any code
 */
export function isCodeOf (secret: Uint8Array, step: number, parameters: StepParameters, code: string): boolean {
  const token = code.slice(-parameters.digits).padStart(parameters.digits, '0')
  try {
    const { valid } = verifySync({ ...optionsAt(secret, step, parameters), token, epochTolerance: 0 })
    return valid && code.length === parameters.digits
  } catch (error) {
    if (error instanceof TokenError) return false
    throw error
  }
}
