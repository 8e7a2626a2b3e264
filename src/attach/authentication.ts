import type { FastifyRequest } from 'fastify'
import { authTimeOf, type SessionContext } from '../core/assurance.js'
import { Refusal, SessionEnded } from '../core/refusals.js'
import type { Origin } from '../core/session.js'
import { requireId } from './ids.js'
import type { FactorOptions } from './options/factor-options.js'
import type { Identity } from './options/host-types.js'
import type { SecondFactor } from './second-factor.js'

/** Upper limit of a time in seconds (the year 5138). A larger number is a time in milliseconds. */
const MOST_SECONDS = 100_000_000_000

export interface AuthenticationDeps extends Pick<FactorOptions, 'identify'> {
  factor: Pick<SecondFactor, 'sessions' | 'settings' | 'knowsSessions' | 'methods'>
  /** Name of the request's property that holds the session context after a guard has accepted the request. */
  slot: string
  originOf: (request: FastifyRequest) => Origin
  /** Called once, when a host did not return the age of a proof. */
  onUnknownAge?: () => void
  /** Called once, when a host did not return the id of a session. */
  onMissingSession?: () => void
}

/** Identity with the id of its session. */
type Identified = Identity & { sessionId: string }

export type Slotted = FastifyRequest & Record<string, SessionContext | null>

/** Finds the session of a request: asks the host, then the caches and the database. */
export function createAuthentication (deps: AuthenticationDeps) {
  const { identify, factor: { sessions, settings, knowsSessions }, slot, originOf } = deps
  const onUnknownAge = once(deps.onUnknownAge)
  const onMissingSession = once(deps.onMissingSession)

  function admit (request: FastifyRequest, identity: Identified, context: SessionContext | null): SessionContext | Promise<SessionContext> {
    if (context === null) throw new SessionEnded(identity)
    checkTimes(identity)
    const { authTime } = identity
    if (authTime === null || authTime === undefined) return enter(request, identity, context, context.authTime)
    // `authTime` is newer (the password was given again within the session) or older (the token was issued before that).
    const provenAt = authTimeOf(context, authTime, sessions.earliestNowSeconds())
    return provenAt === null ? admitAhead(request, identity, authTime) : enter(request, identity, context, provenAt)
  }

  async function admitAhead (request: FastifyRequest, identity: Identified, authTime: number): Promise<SessionContext> {
    const context = await sessions.claimed(identity.userId, identity.sessionId, authTime)
    if (context === null) throw new SessionEnded(identity)
    return enter(request, identity, context, Math.min(authTime, context.authTime))
  }

  function enter (request: FastifyRequest, { proven }: Identity, context: SessionContext, authTime: number): SessionContext {
    let admitted = authTime === context.authTime ? context : { ...context, authTime }
    // A host's token cannot be newer than its session, and it never adds a proof that the session does not have.
    if (proven !== undefined && context.otpDeviceId !== null) admitted = { ...admitted, ...provenOf(proven, context) }
    ;(request as Slotted)[slot] = admitted
    return admitted
  }

  /**
   * Returns device and times of the proofs. Only the service's own tokens may be newer than the session context in the local
   * cache. A token without `phrTime` has no proof by a passkey.
   */
  function provenOf (proven: NonNullable<Identity['proven']>, context: SessionContext) {
    const { otpDeviceId, otpTime, phrTime = null } = proven
    if (knowsSessions) return { otpDeviceId, otpTime, phrTime }
    const hasPasskey = phrTime !== null && (context.phrTime ?? null) !== null
    return {
      otpDeviceId,
      otpTime: otpTime === null || context.otpTime === null ? otpTime : Math.min(otpTime, context.otpTime),
      phrTime: hasPasskey ? Math.min(phrTime, context.phrTime!) : null
    }
  }

  async function admitLater (request: FastifyRequest, pending: PromiseLike<Identity | null>): Promise<SessionContext> {
    const identity = requireSession(await pending)
    const { userId, sessionId } = identity
    const known = sessions.known(userId, sessionId)
    if (known !== undefined) return admit(request, identity, known)
    if (knowsSessions) return admit(request, identity, await sessions.find(userId, sessionId, null))
    checkIdentity(identity)
    const authTime = identity.authTime ?? null
    if (authTime === null) onUnknownAge()
    const adoption = { authTime, sessionSeconds: settings.sessionSeconds, origin: originOf(request) }
    return admit(request, identity, await sessions.find(userId, sessionId, adoption))
  }

  /** Returns the session context without a promise if the local cache has it, because every guarded request runs this. */
  function authenticate (request: FastifyRequest): SessionContext | Promise<SessionContext> {
    return (request as Slotted)[slot] ?? identified(request)
  }

  function identified (request: FastifyRequest): SessionContext | Promise<SessionContext> {
    const answer: ReturnType<typeof identify> | undefined = identify(request)
    if (isThenable(answer)) return admitLater(request, answer)
    const identity = requireSession(answer)
    const known = sessions.known(identity.userId, identity.sessionId)
    return known === undefined ? admitLater(request, Promise.resolve(identity)) : admit(request, identity, known)
  }

  /**
   * A session or token from before the plugin has no id. Its user must log in again: without an id, it could not be ended.
   *
   * @throws {Refusal} TOKEN_INVALID
   */
  function requireSession (identity: Identity | null | undefined): Identified {
    if (identity === null || identity === undefined) throw new Refusal('TOKEN_INVALID')
    if (hasSession(identity)) return identity
    onMissingSession()
    throw new Refusal('TOKEN_INVALID')
  }

  return { authenticate, identified }
}

function once (call: () => void = () => {}): () => void {
  let wasCalled = false
  return () => {
    if (!wasCalled) call()
    wasCalled = true
  }
}

/** Query builders and promises of another realm are no instances of Promise. */
function isThenable (answer: unknown): answer is PromiseLike<Identity | null> {
  return typeof (answer as { then?: unknown } | null | undefined)?.then === 'function'
}

/** Values of an id that is missing, and their texts: with these, the sessions of all old tokens of a user would be one. */
const MISSING: ReadonlySet<unknown> = new Set([undefined, null, '', 'undefined', 'null'])

const hasSession = (identity: Identity): identity is Identified => !MISSING.has(identity.sessionId)

/** @throws {Error} */
function checkIdentity (identity: Identity): void {
  requireId(identity.userId, 'identify() must answer "userId"')
  requireId(identity.sessionId, 'identify() must answer "sessionId"')
  checkTimes(identity)
}

/** Checks the times, because a comparison with a value that is not a time would be meaningless. @throws {Error} */
function checkTimes ({ authTime, proven }: Identity): void {
  if (!isTime(authTime)) throw new Error('countersign: identify() must answer "authTime" in Unix seconds')
  if (proven === undefined) return
  const { otpDeviceId, otpTime, phrTime } = proven
  if (isTime(otpTime) && isTime(phrTime) && (otpDeviceId === null || typeof otpDeviceId === 'string')) return
  throw new Error('countersign: identify() must answer "proven" as { otpDeviceId, otpTime, phrTime }, times in Unix seconds')
}

function isTime (value: unknown): boolean {
  return value === null || value === undefined || (typeof value === 'number' && value >= 0 && value < MOST_SECONDS)
}
