import type { SessionContext } from '../core/assurance.js'
import { forget } from '../factors/forget.js'
import { resetFactors } from '../factors/reset.js'
import type { Check, GuardHook, Guards, OtpVerified } from './guard.js'
import type { HostSessions } from './host-sessions.js'
import { requireId } from './ids.js'
import type { SecondFactor } from './second-factor.js'

/** Functions for the host, on `app.countersign`. */
export interface Countersign {
  /** Hook that accepts live sessions, verified or not. */
  session: GuardHook
  check: Check
  /** Returns true if PostgreSQL answers and the keys of this process are open. */
  isReady (): boolean
  /**
   * Deletes a user's devices and recovery codes, and ends every session. For a user without both, after a check of the
   * user's identity. Until a device is set up, the first factor is the only one.
   *
   * @param by actor and reason, recorded in the user's events
   */
  reset (userId: string, by: { actorId: string, reason: string }): Promise<void>
  /**
   * Deletes all data of a user whose account was deleted at the host, and ends every session. From then on, sessions with
   * an older proof, or with one of unknown age, are refused, because the id may be given to another user. Resolves within a
   * second; that user may then log in.
   *
   * @throws {Error} if the id is invalid
   */
  forget (userId: string): Promise<void>
  /** Reads immediately the data that a poll reads within a quarter of a second: revocations, and PostgreSQL's time. */
  catchUp (): Promise<void>
}

// Here, so that the published types of the plugin have it.
declare module 'fastify' {
  interface FastifyInstance {
    /** Guard: `{ preHandler: app.otpVerified }`, or `app.otpVerified({ maxAge: 300 })` in front of a route that needs a fresh proof. */
    otpVerified: OtpVerified
    /** Functions of the second factor for the host. */
    countersign: Countersign
  }
  interface FastifyRequest {
    /** Session context of the requester, after a guard has accepted the request. */
    countersign: SessionContext | null
  }
}

/** @param host receives the ends of sessions that the host did not request */
export function createApi (factor: SecondFactor, { session, check }: Guards, host: HostSessions): Countersign {
  return {
    session,
    check,
    isReady: factor.isReady,
    async reset (userId, by) {
      await resetFactors(factor, userId, by)
      host.end(userId, null)
    },
    async forget (userId) {
      requireId(userId, 'forget() must take "userId"')
      await forget(factor, userId, () => host.end(userId, null))
    },
    async catchUp () { await factor.sessions.poll() }
  }
}
