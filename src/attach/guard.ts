import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import { checkDemand, missingAssurance, type Demand, type SessionContext } from '../core/assurance.js'
import { Refusal } from '../core/refusals.js'
import { missingProof } from '../factors/missing-proof.js'
import { setRefusalHeaders } from './refusal-headers.js'
import { createAuthentication, type AuthenticationDeps, type Slotted } from './authentication.js'

/** Hook of Fastify, for `onRequest`, `preHandler` and the other hooks of a request. */
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

export interface Guards {
  /** Accepts live sessions, verified or not. */
  session: GuardHook
  otpVerified: OtpVerified
  check: Check
  /** Returns the session context of a request that no guard has accepted yet. @throws {Refusal} */
  find (request: FastifyRequest): Promise<SessionContext>
  contextOf (request: FastifyRequest): SessionContext
}

/** Returns null for a session that may pass, at once because most may; else the refusal. */
type Judge = (context: SessionContext) => Promise<Refusal> | null

/**
 * Result of a hook that calls `done`. It never settles. A host may wrap the hook in an `async` function that passes `done` on and
 * returns or awaits the hook. Fastify continues with the first of the two, and only `done` may decide.
 */
const left: PromiseLike<never> = { then: () => left }

/**
 * Refuses a hook that `async` code calls without `done`: the caller would take the ignored result for success.
 *
 * @throws {TypeError} before it reads the request
 */
function requireDone (done: unknown, slot: string): void {
  if (typeof done === 'function') return
  throw new TypeError('countersign: this hook was called without "done", with which Fastify calls it: ' +
    `write "await app.${slot}.check(request, demand)" to call the guard yourself`)
}

export function createGuards (deps: AuthenticationDeps): Guards {
  const { factor, slot } = deps
  const { authenticate, identified } = createAuthentication(deps)

  function hook (judge: Judge): GuardHook {
    return (request, reply, done) => {
      requireDone(done, slot)
      const refuse = (error: unknown): void => {
        const reason = asReason(error)
        if (reason instanceof Refusal) setRefusalHeaders(reply, reason)
        done(reason)
      }
      let refused: ReturnType<Judge> | Promise<Refusal | null>
      try {
        const context = authenticate(request)
        refused = context instanceof Promise ? context.then(judge) : judge(context)
      } catch (error) {
        refuse(error)
        return left
      }
      if (refused === null) done()
      else refused.then((refusal) => refusal === null ? done() : refuse(refusal), refuse)
      return left
    }
  }

  function judged (context: SessionContext, demand: Demand): Promise<Refusal> | null {
    const lack = missingAssurance(context, demand, factor.sessions.nowSeconds())
    return lack === null ? null : missingProof(factor, context, lack, demand.maxAge)
  }

  const guard = (demand: Demand): GuardHook => hook((context) => judged(context, demand))
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
    const refusal = await judged(context, demand)
    if (refusal !== null) throw refusal
    return context
  }

  return {
    session: hook(() => null),
    otpVerified: otpVerified as unknown as OtpVerified,
    check,
    find: async (request) => await identified(request),
    contextOf: (request) => (request as Slotted)[slot]!
  }
}

/** The exported guard, which needs no app when a route is defined. */
export interface LookedUpGuard extends GuardHook {
  (demand?: Demand, decorator?: string): GuardHook
}

/**
 * Guard that finds the plugin when a request comes: `{ preHandler: otpVerified() }`, `otpVerified({ maxAge: 300, required: true })`. A
 * route may be defined before the registration, or without `await` on it. A route where the plugin is missing, such as one of a sibling
 * scope, is answered 500 `INTERNAL_ERROR`; `{ preHandler: app.otpVerified }` would be `{ preHandler: undefined }` there, an open route.
 *
 * @param demand the plain guard without it
 * @param decorator name of the guard in a second registration: `decorators.otpVerified`
 * @throws {TypeError} if the demand is misspelt
 */
export const otpVerified = lookedUp as unknown as LookedUpGuard

/** Returns a hook, or runs as a hook. It declares three parameters because wrappers of hooks count them. */
function lookedUp (this: unknown, first: unknown, second: unknown, _done: unknown) {
  if (arguments.length > 1 && isRequest(first)) return plainLookUp.apply(this as never, arguments as unknown as Parameters<GuardHook>)
  if (second !== undefined && typeof second !== 'string') throw new TypeError('countersign: otpVerified() takes a demand, then a name')
  return lookUp(arguments.length === 0 ? {} : checkDemand(first, 'otpVerified'), second)
}

const plainLookUp = lookUp({})

function lookUp (demand: Demand, decorator = 'otpVerified'): GuardHook {
  const hooks = new WeakMap<OtpVerified, GuardHook>()
  return function (request, reply, done) {
    requireDone(done, 'countersign')
    const guard = (request.server as unknown as Record<string, OtpVerified | undefined>)[decorator]
    if (typeof guard !== 'function') {
      const cause = new Error(`countersign: "${decorator}" is missing at this route: register the plugin in its scope, or in one around it`)
      const refusal = new Refusal('INTERNAL_ERROR', {}, { cause })
      setRefusalHeaders(reply, refusal)
      done(refusal)
      return left
    }
    const hook = hooks.get(guard) ?? guard(demand)
    hooks.set(guard, hook)
    return hook.call(this, request, reply, done)
  }
}

/** Fastify treats a falsy error as success, so a host that rejects with `undefined` would let the request through. */
function asReason (error: unknown): Error {
  return (error || new Refusal('TOKEN_INVALID')) as Error
}

function isRequest (value: unknown): value is FastifyRequest {
  return typeof value === 'object' && value !== null && 'raw' in value && 'headers' in value
}
