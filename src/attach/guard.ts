import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import { shortfall, type Demand, type Standing } from '../core/assurance.js'
import { Refusal } from '../core/refusals.js'
import type { Origin } from '../core/session.js'
import type { Sessions } from '../sessions/sessions.js'
import { requireId } from './ids.js'
import type { CheckedOptions, Identity } from './options.js'

export type GuardHook = onRequestHookHandler

/**
 * A hook, or a maker of one: `{ preHandler: app.otpVerified }`, `app.otpVerified({ maxAge: 300, required: true })`.
 * Hooks are for Fastify, which calls them with `done`; without it they throw a `TypeError`. `check` is the promise form.
 */
export interface OtpVerified extends GuardHook {
  (demand: Demand): GuardHook
}

/**
 * The guard as a promise. Unlike a hook it identifies the request at each call, so that a connection that stays open can
 * be checked again later. Sets no headers.
 *
 * @returns the session context
 * @throws {Refusal}
 * @throws {TypeError} if the arguments are no request and no demand
 * @example await app.countersign.check(request, { maxAge: 300 })
 */
export type Check = (request: FastifyRequest, demand?: Demand) => Promise<Standing>

/** The year 5138 in seconds, 1973 in milliseconds: nobody means the one. */
const MOST_SECONDS = 100_000_000_000

export interface GuardDeps extends Pick<CheckedOptions, 'identify' | 'knowsSessions' | 'settings'> {
  sessions: Sessions
  /** Under which name a request carries its `Standing`, once a guard has let it in. */
  slot: string
  originOf: (request: FastifyRequest) => Origin
}

export interface Guards {
  /** Lets live sessions in, verified or not. */
  session: GuardHook
  otpVerified: OtpVerified
  check: Check
  standingOf (request: FastifyRequest): Standing
}

type Slotted = FastifyRequest & Record<string, Standing | null>

export function createGuards ({ identify, knowsSessions = false, settings, sessions, slot, originOf }: GuardDeps): Guards {
  function admit (request: FastifyRequest, { proven, authTime }: Identity, standing: Standing | null): Standing {
    if (standing === null) throw new Refusal('SESSION_ENDED')
    let admitted = standing
    // A host's token is at most as new as the session; it never adds what the session has not proven.
    if (proven !== undefined && standing.otpDeviceId !== null) admitted = { ...admitted, ...proven }
    // Given anew within the session. A host's clock may be ahead of Postgres': no proof is from the future.
    if (typeof authTime === 'number' && authTime !== standing.authTime && authTime <= sessions.nowSeconds()) admitted = { ...admitted, authTime }
    ;(request as Slotted)[slot] = admitted
    return admitted
  }

  async function admitLater (request: FastifyRequest, pending: Promise<Identity | null>): Promise<Standing> {
    const identity: Identity | null | undefined = await pending
    if (identity === null || identity === undefined) throw new Refusal('TOKEN_INVALID')
    const { userId, sessionId } = identity
    const known = sessions.known(userId, sessionId)
    if (known !== undefined) return admit(request, identity, known)
    if (knowsSessions) return admit(request, identity, await sessions.find(userId, sessionId, null))
    checkIdentity(identity)
    return admit(request, identity, await sessions.find(userId, sessionId, { authTime: identity.authTime ?? null, sessionSeconds: settings.sessionSeconds, origin: originOf(request) }))
  }

  /** Without a promise where the process knows the answer: this stands in front of every guarded request. */
  function authenticate (request: FastifyRequest): Standing | Promise<Standing> {
    return (request as Slotted)[slot] ?? identified(request)
  }

  function identified (request: FastifyRequest): Standing | Promise<Standing> {
    const identity: ReturnType<typeof identify> | undefined = identify(request)
    if (identity instanceof Promise) return admitLater(request, identity)
    if (identity === null || identity === undefined) throw new Refusal('TOKEN_INVALID')
    const known = sessions.known(identity.userId, identity.sessionId)
    return known === undefined ? admitLater(request, Promise.resolve(identity)) : admit(request, identity, known)
  }

  function hook (check: (standing: Standing) => void): GuardHook {
    return (request, _reply, done) => {
      requireDone(done)
      let standing: Standing | Promise<Standing>
      try {
        standing = authenticate(request)
        if (!(standing instanceof Promise)) check(standing)
      } catch (error) {
        return done(asReason(error))
      }
      if (!(standing instanceof Promise)) return done()
      standing.then((found) => check(found)).then(() => done(), (error: unknown) => done(asReason(error)))
    }
  }

  /** @throws {TypeError} before anything of the request was looked at: to `async` code an ignored call would be a passed guard */
  function requireDone (done: unknown): void {
    if (typeof done === 'function') return
    throw new TypeError(`countersign: this hook was called without "done", as Fastify calls it: write "await app.${slot}.check(request, demand)" to call the guard yourself`)
  }

  /** @throws {Refusal} */
  function requireProof (standing: Standing, demand: Demand): void {
    const lack = shortfall(standing, demand, sessions.nowSeconds())
    if (lack !== null) throw new Refusal(lack, demand.maxAge === undefined ? {} : { maxAgeSeconds: demand.maxAge })
  }

  const guard = (demand: Demand): GuardHook => hook((standing) => requireProof(standing, demand))
  const plain = guard({})

  /** With one argument a maker of hooks, else a hook. Three parameters, since code that wraps hooks goes by their number. */
  function otpVerified (this: unknown, request: unknown, _reply: unknown, _done: unknown) {
    return arguments.length < 2 ? guard(checkDemand(request, 'otpVerified')) : plain.apply(this as never, arguments as unknown as Parameters<GuardHook>)
  }

  async function check (request: FastifyRequest, ...demands: [Demand?]): Promise<Standing> {
    if (!isRequest(request)) throw new TypeError('countersign: check() takes a request of Fastify, then a demand')
    const demand = demands.length === 0 ? {} : checkDemand(demands[0], 'check')
    const standing = await Promise.resolve(request).then(identified).catch((error: unknown) => { throw asReason(error) })
    requireProof(standing, demand)
    return standing
  }

  return {
    session: hook(() => {}),
    otpVerified: otpVerified as unknown as OtpVerified,
    check,
    standingOf: (request) => (request as Slotted)[slot]!
  }
}

/** To Fastify an error that is nothing is none, and the request goes on: a host may reject with nothing for nobody. */
function asReason (error: unknown): Error {
  return (error || new Refusal('TOKEN_INVALID')) as Error
}

function isRequest (value: unknown): value is FastifyRequest {
  return typeof value === 'object' && value !== null && 'raw' in value && 'headers' in value
}

/** `{ … }` of any realm: an object of a class, such as a request, may have no properties of its own and would be a demand for nothing. */
function isPlain (value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/**
 * In the moment in which a route is made. What is no demand (a name that is misspelt, a number that the configuration does not
 * have) would be none at all, and the guard the plain one.
 *
 * @throws {TypeError}
 */
function checkDemand (demand: unknown, of: 'otpVerified' | 'check'): Demand {
  const fail = (must: string) => { throw new TypeError(`countersign: ${of}() ${must}`) }
  if (!isPlain(demand)) return fail('takes { required, maxAge }') as never
  for (const [name, value] of Object.entries(demand)) {
    if (name === 'required' && typeof value !== 'boolean') fail('wants "required" to be true or false')
    else if (name === 'maxAge' && !(Number.isFinite(value) && value >= 0)) fail('wants "maxAge" in seconds, 0 or more')
    else if (name !== 'required' && name !== 'maxAge') fail(`has no "${name}"`)
  }
  return { ...demand }
}

/** @throws {Error} */
function checkIdentity ({ userId, sessionId, authTime = null }: Identity): void {
  requireId(userId, 'identify() must answer "userId"')
  requireId(sessionId, 'identify() must answer "sessionId"')
  if (authTime !== null && !(Number.isFinite(authTime) && authTime >= 0 && authTime < MOST_SECONDS)) throw new Error('countersign: identify() must answer "authTime" in Unix seconds')
}
