import type { AnsweredSession } from '../../core/session.js'

/** Requester of a request, as the host identifies it. */
export interface Identity {
  /** The host's own id of the user: 1 to 255 bytes of text. */
  userId: string
  /**
   * The host's own id of the session, or the value that all tokens of one session have in common: 1 to 255 bytes of text.
   * Never reuse the id of another session of the user. A session or token from before the plugin has none: with undefined or
   * null, or an empty text, the request is answered 401 `TOKEN_INVALID`, with one warning in the log.
   */
  sessionId: string | null | undefined
  /**
   * Time of the password or another first factor, in Unix seconds. Without it, or with null, the proof counts as old: no
   * route takes it as fresh, and the first device needs `checkPassword`. A future time counts as the moment when it was
   * first seen.
   */
  authTime?: number | null
  /**
   * Proof that the host's own signed token recorded when it was issued. A token from before a step-up then keeps its old
   * proof. Without `phrTime` it has no proof by a passkey.
   */
  proven?: { otpDeviceId: string | null, otpTime: number | null, phrTime?: number | null }
}

/** Session that results from an accepted code or from the removal of a factor. */
export interface ProvenSession extends AnsweredSession {
  /**
   * Id of the requesting session if that session goes on. Otherwise a random UUID for the host's new session; the host may
   * return another id.
   */
  sessionId: string
  /** Id of the device that verified the session; `recovery` for a recovery code; null if only the password is proven. */
  deviceId: string | null
}

/** Result of `complete`. */
export interface Completion {
  /**
   * Id of the host's session after the completion. It must differ from the id of the requesting session, unless that session
   * goes on or the option `sameSession` is set.
   */
  sessionId: string
  /** Answer for the client, sent as JSON. */
  answer: object
}
