import type { SessionContext } from './assurance.js'
import type { OtpMethod } from './refusals.js'

/** Origin of a request, for the owner's list of sessions and events. Never used to decide. */
export interface Origin { ip: string, agent: string }

/** Origin of a request, with the network under which its guesses are counted. */
export interface ClientOrigin extends Origin { network: string }

/** Requester of an operation, as a flow needs it. */
export interface Requester extends ClientOrigin {
  context: SessionContext
}

/** Session as its row has it. A session is verified from its start or never; a step-up renews the proof, its device, time and `amr`. */
export interface SessionFacts extends SessionContext {
  /** RFC 8176. */
  amr: string[]
  /** How often its refresh token was rotated. */
  generation: number
  /** When its current tokens were issued, by rotation or step-up (Unix seconds, whole). */
  issuedAt: number
  /** When its access token was issued, if later than `issuedAt`. */
  accessIssuedAt?: number
}

/** Session for an answer that brings tokens. */
export interface AnsweredSession extends SessionFacts {
  /** Methods with which its user can verify; empty without a second factor. */
  otpMethods: readonly OtpMethod[]
}

/** Terms of an unverified session: its user may extend it ten times, as people may need who are slower than most (WCAG 2.2, 2.2.1). */
export const MOST_PENDING_TERMS = 11

/** Lifetimes in seconds, from the settings of the same names. */
export interface Lifetimes {
  sessionSeconds: number
  /** Of a session that has not verified its second factor yet. */
  pendingSeconds: number
}
