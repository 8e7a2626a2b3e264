import type { MissingAssurance, SessionContext } from '../core/assurance.js'
import { Refusal } from '../core/refusals.js'
import type { OtpDeps } from './deps.js'

/**
 * Returns the refusal of a session without the demanded proof. OTP_REQUIRED and PHISHING_RESISTANT_REQUIRED name the methods that
 * would help; with none, the user must set one up first, and the message says so.
 *
 * @param maxAgeSeconds greatest age of the proof, if the demand has one
 */
export async function missingProof (
  { methods }: Pick<OtpDeps, 'methods'>, context: SessionContext, lack: MissingAssurance, maxAgeSeconds?: number
): Promise<Refusal> {
  const details = maxAgeSeconds === undefined ? {} : { maxAgeSeconds }
  if (lack === 'OTP_REQUIRED') return new Refusal(lack, { ...details, methods: await methods(context) })
  if (lack !== 'PHISHING_RESISTANT_REQUIRED') return new Refusal(lack, details)
  return new Refusal(lack, { ...details, methods: (await methods(context)).filter((method) => method === 'passkey') })
}
