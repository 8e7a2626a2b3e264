import type { MissingAssurance, SessionContext } from '../core/assurance.js'
import { Refusal } from '../core/refusals.js'
import type { Requester } from '../core/session.js'
import { sessionEnded } from '../sessions/session-ended.js'
import { readSessionContext } from '../sessions/statements.js'
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

/**
 * Returns the refusal of a change for which a statement found no verified session, although the guard did: the session has ended, or
 * factors were imported since, so that it owes a proof.
 */
export async function sessionEndedOrOwes (
  deps: Pick<OtpDeps, 'db' | 'methods' | 'sessions'>, requester: Requester
): Promise<Refusal> {
  const { userId, sessionId } = requester.context
  const { reading } = await readSessionContext(deps.db, userId, sessionId)
  if (reading === null || reading.context.otpDeviceId !== null) return sessionEnded(deps, requester)
  deps.sessions.changed(userId, sessionId)
  return await missingProof(deps, reading.context, 'OTP_REQUIRED')
}
