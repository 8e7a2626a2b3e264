/**
 * `countersign/client`: the guard for back ends in Node that verify access tokens by themselves, and refuse an ended session within a
 * second. docs/protocol.md has the rules, docs/clients.md the use.
 */
import { AgingMap } from '../core/aging-map.js'
import { checkDemand, missingAssurance, type Demand } from '../core/assurance.js'
import { isTimely, type AccessClaims } from '../core/claims.js'
import { Refusal } from '../core/refusals.js'
import { askSession, authorizationOf, forwardedFor, type AnsweredSession, type AskedRequest } from './ask.js'
import { createFollower, NotServed } from './follower.js'
import { createHttp } from './http.js'
import { createKeys } from './keys.js'
import { kidOf, openToken, readToken, type Opened } from './token.js'

export { refusalAnswer, type RefusalAnswer } from './answer.js'
export { bearerOf, forwardedFor, type AnsweredSession, type AskedRequest } from './ask.js'
export { isRefusal, Refusal, type RefusalCode } from '../core/refusals.js'
export type { Demand } from '../core/assurance.js'
export type { AccessClaims } from '../core/claims.js'

/** Cache of tokens with a right signature, about 1.5 KB each. */
const MOST_VERIFIED = 20_000
const REMEMBER_VERIFIED_MS = 60_000
/** Longest wait of `ready`. */
const READY_MS = 10_000

/** Address and key of the service, and what to do while it does not answer. */
export interface ClientOptions {
  /** Address of the service, with a path prefix if it has one. */
  url: string
  /** One of CLIENT_KEYS, without its name. */
  key: string
  /** JWT_ISSUER. @default 'countersign' */
  issuer?: string
  /** JWT_AUDIENCE. @default 'countersign' */
  audience?: string
  /** While it is not known which sessions have ended: refuse with UNAVAILABLE, or ask the service about each request. */
  onStale: 'refuse' | 'ask'
}

/** Guard in a back end beside the service. */
export interface Client {
  /**
   * Resolves when tokens can be verified.
   *
   * @throws {Error} if the service has no public keys or refuses the key, if the client is closed, and after ten seconds
   */
  ready (): Promise<void>
  /**
   * Verifies an access token, as the service's own guard does.
   *
   * @param from `forwardedFor(request)`, for the service's limits, where it is asked (`onStale: 'ask'`)
   * @throws {Refusal} TOKEN_INVALID, SESSION_ENDED, OTP_REQUIRED, OTP_STALE, PHISHING_RESISTANT_REQUIRED or UNAVAILABLE
   * @throws {TypeError} if the demand is misspelt
   */
  verify (token: string | undefined, demand?: Demand, from?: string): Promise<Readonly<AccessClaims>>
  /** Asks the service about a request. @throws {Refusal} the service's own, or UNAVAILABLE */
  ask (request: AskedRequest, demand?: Demand): Promise<AnsweredSession>
  /** For metrics: age of the knowledge about ended sessions in milliseconds, and the fault of the last request for it. */
  state (): { ageMs: number, isFresh: boolean, fault: unknown }
  /** Ends the connection to the service. Afterwards everything is refused with UNAVAILABLE. */
  close (): void
}

const NONE: Demand = Object.freeze({})

/** Makes a guard that verifies tokens by itself and follows which sessions end. */
export function createClient ({ url, key, issuer = 'countersign', audience = 'countersign', onStale }: ClientOptions): Client {
  if (!/^https?:\/\//.test(url)) throw new TypeError('countersign/client: "url" is an address that starts with https:// or http://')
  if (!/^[A-Za-z0-9_-]+$/.test(key)) throw new TypeError('countersign/client: "key" is one of CLIENT_KEYS, without its name')
  if (onStale !== 'refuse' && onStale !== 'ask') throw new TypeError("countersign/client: \"onStale\" is 'refuse' or 'ask'")
  const wanted = { issuer, audience }
  const http = createHttp(url)
  const verified = new AgingMap<string, Opened>({
    keepMs: REMEMBER_VERIFIED_MS, capacity: MOST_VERIFIED, clockMs: () => performance.now()
  })
  const keys = createKeys(http, () => verified.clear())
  const follower = createFollower(http, key)
  let isClosed = false
  void keys.refresh()

  /** @throws {Refusal} UNAVAILABLE */
  function requireOpen (): void {
    if (isClosed) throw new Refusal('UNAVAILABLE', {}, { cause: new Error('The client is closed') })
  }

  async function open (token: string): Promise<Opened> {
    const kid = kidOf(token)
    if (keys.get(kid) === undefined) await keys.refresh()
    const key = keys.get(kid)
    if (key === undefined) throw new Refusal('TOKEN_INVALID')
    const opened = openToken(token, key, wanted)
    verified.set(token, opened)
    return opened
  }

  /** @throws {Refusal} */
  function judge (opened: Opened, demand: Demand): Readonly<AccessClaims> {
    const { claims } = opened
    const now = follower.nowSeconds()
    // Ends are known for as long as tokens live now. They may have lived longer before a restart of the service.
    if (!isTimely(claims, now) || claims.iat <= now - follower.keepSeconds()) throw new Refusal('TOKEN_INVALID')
    if (follower.isRevoked(opened)) throw new Refusal('SESSION_ENDED')
    const lack = missingAssurance({
      userId: claims.sub,
      sessionId: claims.sid,
      otpRequired: claims.otp_required,
      otpDeviceId: claims.otp_device_id,
      otpTime: claims.otp_time,
      phrTime: claims.phr_time ?? null,
      otpDeadline: null,
      authTime: claims.auth_time,
      expiresAt: claims.exp
    }, demand, now)
    if (lack !== null) throw new Refusal(lack, demand.maxAge === undefined ? {} : { maxAgeSeconds: demand.maxAge })
    return claims
  }

  async function whileStale (token: string, demand: Demand, from: string | undefined): Promise<Readonly<AccessClaims>> {
    if (onStale === 'refuse') throw new Refusal('UNAVAILABLE', {}, { cause: follower.fault() })
    await askSession(http, `Bearer ${token}`, demand, from)
    return readToken(token).claims
  }

  const canVerify = () => follower.isFresh() && keys.count() !== null && keys.count() !== 0

  return {
    ready: () => waitForBoth(keys, follower, requireOpen),
    async verify (token, given, from) {
      const demand = given === undefined ? NONE : checkDemand(given, 'verify')
      requireOpen()
      if (token === undefined) throw new Refusal('TOKEN_INVALID')
      if (!canVerify()) return await whileStale(token, demand, from)
      const opened = verified.get(token) ?? await open(token)
      // Keys may have been read meanwhile.
      return follower.isFresh() ? judge(opened, demand) : await whileStale(token, demand, from)
    },
    async ask (request, given) {
      const demand = given === undefined ? NONE : checkDemand(given, 'ask')
      requireOpen()
      return await askSession(http, authorizationOf(request), demand, forwardedFor(request))
    },
    state: () => ({ ageMs: follower.ageMs(), isFresh: follower.isFresh(), fault: follower.fault() }),
    close () {
      isClosed = true
      follower.close()
      keys.close()
      http.close()
    }
  }
}

/** @throws {Error} */
async function waitForBoth (
  keys: ReturnType<typeof createKeys>, follower: ReturnType<typeof createFollower>, requireOpen: () => void
): Promise<void> {
  const endAtMs = performance.now() + READY_MS
  for (;;) {
    requireOpen()
    const fault = await keys.read().then(() => null, (error: unknown) => error)
    requireOpen()
    if (keys.count() === 0) {
      throw new Error('The service publishes no keys: with JWT_ALG=HS256 only it can verify its tokens. Set JWT_ALG=EdDSA, or use ask()')
    }
    if (keys.count() !== null && follower.isFresh()) return
    const reason = follower.fault() ?? fault
    if (reason instanceof NotServed && reason.status < 500) throw reason
    const leftMs = endAtMs - performance.now()
    if (leftMs <= 0) throw new Error('The service cannot be followed', { cause: reason })
    await nextNews(follower, Math.min(leftMs, 500))
  }
}

/** Waits for a line or a failure. */
async function nextNews (follower: ReturnType<typeof createFollower>, ms: number): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(done, ms)
    const stop = follower.onNews(done)
    function done (): void {
      clearTimeout(timer)
      stop()
      resolve()
    }
  })
}
