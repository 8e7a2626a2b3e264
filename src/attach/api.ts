import type { FastifyRequest } from 'fastify'
import type { SessionContext } from '../core/assurance.js'
import type { OtpMethod } from '../core/refusals.js'
import { listDevices, type Device } from '../factors/device-statements.js'
import { readStatus } from '../factors/enrolment-statements.js'
import { forget } from '../factors/forget.js'
import { resetFactors } from '../factors/reset.js'
import { endHostSession, endHostSessions } from '../sessions/host-ends.js'
import type { Check, GuardHook, Guards, OtpVerified } from './guard.js'
import type { HostSessions } from './host-sessions.js'
import { requireActor, requireId } from './ids.js'
import {
  exportByPlugin, importByPlugin, type ExportedUser, type ExportFactorsOptions, type ImportedFactors, type ImportFactorsOptions,
  type UserFactors
} from './moving.js'
import type { SecondFactor } from './second-factor.js'

/** State of a user's second factor. */
export interface FactorStatus {
  /** True if a factor is confirmed: the user's new sessions owe a proof. */
  isOtpEnabled: boolean
  /** Methods with which the user can verify. The list is open. */
  methods: OtpMethod[]
  /** Number of unused recovery codes. */
  recoveryCodesLeft: number
}

/** Confirmed factor of a user, as `GET /devices` shows it. */
export type Factor = Device

/** Functions for the host, on `app.countersign`. */
export interface Countersign {
  /** Hook that accepts live sessions, verified or not. */
  session: GuardHook
  /** Guard as a promise, for connections that stay open and for frameworks on top of Fastify. */
  check: Check
  /** Returns the state of a user's second factor. */
  status (userId: string): Promise<FactorStatus>
  /** Returns a user's confirmed factors, the oldest first. */
  factors (userId: string): Promise<Factor[]>
  /**
   * Ends a session that the host ends, such as at log-out: the id is refused from then on at every replica within `revocationSeconds`,
   * also if the session was never seen here.
   */
  endSession (userId: string, sessionId: string): Promise<void>
  /**
   * Ends a user's sessions that were seen here, all but `except`: after a change of the password, or to log out everywhere. A session that
   * was never seen here is the host's to end.
   */
  endSessions (userId: string, options?: { except?: string | null }): Promise<void>
  /**
   * Calls back once when the session of a request ends or expires, at any replica, within `revocationSeconds`: for websockets and event
   * streams, which outlive the request. Also if PostgreSQL has not answered for a minute, since the end could not be learned. Close the
   * connection then. An error of the callback is logged.
   *
   * @returns a function that stops that: call it when the connection closes
   * @throws {TypeError} if no guard has accepted the request
   * @example
   * const stop = request.server.countersign.onEnd(request, () => socket.close(1008))
   * socket.on('close', stop)
   */
  onEnd (request: FastifyRequest, callback: () => void | Promise<void>): () => void
  /** Returns true if PostgreSQL answers and the keys of this process are open. */
  isReady (): boolean
  /**
   * Deletes a user's devices and recovery codes, and ends every session. For a user without both, after a check of the
   * user's identity. Until a device is set up, the first factor is the only one.
   *
   * @param by actor and reason, recorded in the user's events
   * @throws {TypeError} if `actorId` or `reason` is missing
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
  /**
   * Imports second factors of users from the host's own tables (docs/moving.md). A user with a confirmed factor is skipped; living
   * sessions of the others owe a code from then on.
   *
   * @throws {TypeError} if `actorId` is missing
   */
  importFactors (records: Iterable<UserFactors> | AsyncIterable<UserFactors>, options: ImportFactorsOptions): Promise<ImportedFactors>
  /**
   * Reads the second factors of users as records of `importFactors`, with their secrets: never log them. Each user's log has an event.
   *
   * @throws {TypeError} if `actorId` or `reason` is missing
   */
  exportFactors (options: ExportFactorsOptions): AsyncIterable<ExportedUser>
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

export interface ApiOptions {
  /** Receives the ends of sessions that the host did not request. */
  host: HostSessions
  /** Receives errors of the host's callbacks. */
  report: (error: unknown, of: 'onEnd') => void
}

export function createApi (factor: SecondFactor, { session, check, contextOf }: Guards, { host, report }: ApiOptions): Countersign {
  const { db, sessions, counters } = factor

  return {
    session,
    check,
    isReady: factor.isReady,
    async status (userId) {
      requireId(userId, 'status() must take "userId"')
      const { confirmedDevices, methods, recoveryCodesLeft } = await readStatus(db, userId, NO_SESSION)
      return { isOtpEnabled: confirmedDevices > 0, methods, recoveryCodesLeft }
    },
    async factors (userId) {
      requireId(userId, 'factors() must take "userId"')
      return await listDevices(db, userId)
    },
    async endSession (userId, sessionId) {
      requireId(userId, 'endSession() must take "userId"')
      requireId(sessionId, 'endSession() must take "sessionId"')
      const wasAlive = await endHostSession(db, userId, sessionId)
      // Also if it had ended before, by a call whose answer was lost or at another replica: this one may not have heard of it.
      sessions.ended(userId, [sessionId])
      if (wasAlive) counters.count('sessions_ended_total', ['logged_out'])
    },
    async endSessions (userId, { except = null } = {}) {
      requireId(userId, 'endSessions() must take "userId"')
      if (except !== null) requireId(except, 'endSessions() must take "except"')
      const endedIds = await endHostSessions(db, userId, except)
      sessions.ended(userId, endedIds)
      counters.count('sessions_ended_total', ['session_ended'], endedIds.length)
    },
    onEnd (request, callback) {
      const context: SessionContext | null | undefined = contextOf(request)
      if (context === null || context === undefined) throw new TypeError('countersign: onEnd() takes a request that a guard has accepted')
      if (typeof callback !== 'function') throw new TypeError('countersign: onEnd() takes a function to call')
      const call = async () => { await callback() }
      return sessions.onEnd(context, () => { call().catch((error: unknown) => { report(error, 'onEnd') }) })
    },
    async reset (userId, by) {
      requireId(userId, 'reset() must take "userId"')
      requireActor(by, 'reset()')
      await resetFactors(factor, userId, by)
      host.end(userId, null)
    },
    async forget (userId) {
      requireId(userId, 'forget() must take "userId"')
      await forget(factor, userId, () => host.end(userId, null))
    },
    importFactors: (records, options) => importByPlugin(factor, records, options),
    exportFactors: (options) => exportByPlugin(factor, options),
    async catchUp () { await sessions.poll() }
  }
}

/** No session has this id. */
const NO_SESSION = ''
