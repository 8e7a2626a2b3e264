import type { Standing } from './assurance.js'

/** Where a request came from, for the owner's list of sessions and events. Never used to decide. */
export interface Origin { ip: string, agent: string }

/** Origin of a request, with the network that its guesses are counted under. */
export interface ClientOrigin extends Origin { network: string }

/** Who asks, as a flow needs it. */
export interface Asking extends ClientOrigin {
  standing: Standing
}

/** A session as its row has it. That it is verified was fixed when it started; a step-up renews the proof, with its device, time and `amr`. */
export interface SessionFacts extends Standing {
  /** RFC 8176. */
  amr: string[]
  /** How often its refresh token was rotated. */
  generation: number
  /** When its current tokens were issued, by rotation or step-up (Unix seconds, whole). */
  issuedAt: number
  /** The same of its access token, where that was issued later. */
  accessIssuedAt?: number
}

/** How long things last, in seconds; DESIGN §3 and the settings of the same names. */
export interface Lifetimes {
  sessionSeconds: number
  /** A session that has yet to verify its second factor. */
  pendingSeconds: number
}
