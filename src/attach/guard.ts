import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import { authTimeOf, missingAssurance, type Demand, type SessionContext } from '../core/assurance.js'
import { Refusal, SessionEnded } from '../core/refusals.js'
import type { Origin } from '../core/session.js'
import type { Sessions } from '../sessions/liveness.js'
import { requireId } from './ids.js'
import type { CheckedOptions, Identity } from './options.js'

export type GuardHook = onRequestHookHandler

/**
 * Hook, or factory of hooks: `{ preHandler: app.otpVerified }`, `app.otpVerified({ maxAge: 300, required: true })`.
 *
 * Fastify calls a hook with `done`. A hook that is called without `done` throws a `TypeError`; use `check` for a promise. The
 * return value of a hook never settles: only `done` reports the result.
 */
export interface OtpVerified extends GuardHook {
  (demand: Demand): GuardHook
}

/**
 * Guard as a promise. It identifies the request at each call, unlike a hook, so a connection that stays open can be checked
 * again later. Sets no headers.
 *
 * @returns the session context
 * @throws {Refusal}
 * @throws {TypeError} if the arguments are not a request and a demand
 * @example await app.countersign.check(request, { maxAge: 300 })
 */
export type Check = (request: FastifyRequest, demand?: Demand) => Promise<SessionContext>

/** Upper limit of a time in seconds (the year 5138). A larger number is a time in milliseconds. */
const MOST_SECONDS = 100_000_000_000

export interface GuardDeps extends Pick<CheckedOptions, 'identify' | 'knowsSessions' | 'settings'> {
  sessions: Sessions
  /** Name of the request's property that holds the session context after a guard has accepted the request. */
  slot: string
  originOf: (request: FastifyRequest) => Origin
  /** Called once, when a host did not return the age of a proof. */
  onUnknownAge?: () => void
}

export interface Guards {
  /** Accepts live sessions, verified or not. */
  session: GuardHook
  otpVerified: OtpVerified
  check: Check
  standingOf (request: FastifyRequest): SessionContext
}

type Slotted = FastifyRequest & Record<string, SessionContext | null>

/**
 * Result of a hook that calls `done`. It never settles. A host may wrap the hook in an `async` function that passes `done` on and
 * returns or awaits the hook. Fastify continues with the first of the two, and only `done` may decide.
 */
const left: PromiseLike<never> = { then: () => left }

export function createGuards (deps: GuardDeps): Guards {
  const { identify, knowsSessions = false, settings, sessions, slot, originOf, onUnknownAge = () => {} } = deps
  let isAgeKnown = true

  function admit (request: FastifyRequest, identity: Identity, context: SessionContext | null): SessionContext | Promise<SessionContext> {
    if (context === null) throw new SessionEnded(identity)
    checkTimes(identity)
    const { authTime } = identity
    if (authTime === null || authTime === undefined) return enter(request, identity, context, context.authTime)
    // `authTime` is newer (the password was given again within the session) or older (the token was issued before that).
    const provenAt = authTimeOf(context, authTime, sessions.earliestNowSeconds())
    return provenAt === null ? admitAhead(request, identity, authTime) : enter(request, identity, context, provenAt)
  }

  async function admitAhead (request: FastifyRequest, identity: Identity, authTime: number): Promise<SessionContext> {
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

  async function admitLater (request: FastifyRequest, pending: Promise<Identity | null>): Promise<SessionContext> {
    const identity: Identity | null | undefined = await pending
    if (identity === null || identity === undefined) throw new Refusal('TOKEN_INVALID')
    const { userId, sessionId } = identity
    const known = sessions.known(userId, sessionId)
    if (known !== undefined) return admit(request, identity, known)
    if (knowsSessions) return admit(request, identity, await sessions.find(userId, sessionId, null))
    checkIdentity(identity)
    const authTime = identity.authTime ?? null
    if (authTime === null && isAgeKnown) {
      isAgeKnown = false
      onUnknownAge()
    }
    const adoption = { authTime, sessionSeconds: settings.sessionSeconds, origin: originOf(request) }
    return admit(request, identity, await sessions.find(userId, sessionId, adoption))
  }

  /** Returns the session context without a promise if the local cache has it, because every guarded request runs this. */
  function authenticate (request: FastifyRequest): SessionContext | Promise<SessionContext> {
    return (request as Slotted)[slot] ?? identified(request)
  }

  function identified (request: FastifyRequest): SessionContext | Promise<SessionContext> {
    const identity: ReturnType<typeof identify> | undefined = identify(request)
    if (identity instanceof Promise) return admitLater(request, identity)
    if (identity === null || identity === undefined) throw new Refusal('TOKEN_INVALID')
    const known = sessions.known(identity.userId, identity.sessionId)
    return known === undefined ? admitLater(request, Promise.resolve(identity)) : admit(request, identity, known)
  }

  function hook (check: (context: SessionContext) => void): GuardHook {
    return (request, _reply, done) => {
      requireDone(done)
      let context: SessionContext | Promise<SessionContext>
      try {
        context = authenticate(request)
        if (!(context instanceof Promise)) check(context)
      } catch (error) {
        done(asReason(error))
        return left
      }
      if (context instanceof Promise) context.then((found) => check(found)).then(() => done(), (error: unknown) => done(asReason(error)))
      else done()
      return left
    }
  }

  /**
   * Refuses a hook that `async` code calls without `done`: the caller would take the ignored result for success.
   *
   * @throws {TypeError} before it reads the request
   */
  function requireDone (done: unknown): void {
    if (typeof done === 'function') return
    throw new TypeError('countersign: this hook was called without "done", with which Fastify calls it: ' +
      `write "await app.${slot}.check(request, demand)" to call the guard yourself`)
  }

  /** @throws {Refusal} */
  function requireProof (context: SessionContext, demand: Demand): void {
    const lack = missingAssurance(context, demand, sessions.nowSeconds())
    if (lack !== null) throw new Refusal(lack, demand.maxAge === undefined ? {} : { maxAgeSeconds: demand.maxAge })
  }

  const guard = (demand: Demand): GuardHook => hook((context) => requireProof(context, demand))
  const plain = guard({})

  /** Returns a hook if it has one argument, else runs as a hook. It declares three parameters because wrappers of hooks count them. */
  function otpVerified (this: unknown, request: unknown, _reply: unknown, _done: unknown) {
    if (arguments.length < 2) return guard(checkDemand(request, 'otpVerified'))
    return plain.apply(this as never, arguments as unknown as Parameters<GuardHook>)
  }

  async function check (request: FastifyRequest, ...demands: [Demand?]): Promise<SessionContext> {
    if (!isRequest(request)) throw new TypeError('countersign: check() takes a request of Fastify, then a demand')
    const demand = demands.length === 0 ? {} : checkDemand(demands[0], 'check')
    const context = await Promise.resolve(request).then(identified).catch((error: unknown) => { throw asReason(error) })
    requireProof(context, demand)
    return context
  }

  return {
    session: hook(() => {}),
    otpVerified: otpVerified as unknown as OtpVerified,
    check,
    standingOf: (request) => (request as Slotted)[slot]!
  }
}

/** Fastify treats a falsy error as success, so a host that rejects with `undefined` would let the request through. */
function asReason (error: unknown): Error {
  return (error || new Refusal('TOKEN_INVALID')) as Error
}

function isRequest (value: unknown): value is FastifyRequest {
  return typeof value === 'object' && value !== null && 'raw' in value && 'headers' in value
}

/**
 * Tests for a plain object of any realm. An object of a class, such as a request, can lack own properties and would be an
 * empty demand.
 */
function isPlain (value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/**
 * Checks a demand when the route is defined. A misspelt name or an undefined number would otherwise be an empty demand, and
 * the guard would be the plain one.
 *
 * @throws {TypeError}
 */
function checkDemand (demand: unknown, of: 'otpVerified' | 'check'): Demand {
  const fail = (must: string) => { throw new TypeError(`countersign: ${of}() ${must}`) }
  if (!isPlain(demand)) return fail('takes { required, maxAge, phishingResistant }') as never
  for (const [name, value] of Object.entries(demand)) {
    if (name === 'required' || name === 'phishingResistant') {
      if (typeof value !== 'boolean') fail(`wants "${name}" to be true or false`)
    } else if (name === 'maxAge') {
      if (!(Number.isFinite(value) && value >= 0)) fail('wants "maxAge" in seconds, 0 or more')
    } else {
      fail(`has no "${name}"`)
    }
  }
  return { ...demand }
}

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
