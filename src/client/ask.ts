import type { IncomingHttpHeaders } from 'node:http'
import type { Demand } from '../core/assurance.js'
import { Refusal } from '../core/refusals.js'
import { refusalOf } from './answer.js'
import type { Answered, Http } from './http.js'

/** Time for the whole answer. */
const ANSWER_MS = 2_000
/** Largest age that `/session` reads, 31 years: no proof is older. */
const MOST_AGE_SECONDS = 999_999_999

/** Request of Node (Express, NestJS, Koa), or of the Fetch API (Hono, Next.js). */
export type AskedRequest =
  { headers: IncomingHttpHeaders, socket?: { remoteAddress?: string | undefined } | null } | { headers: Headers }

/** Session that passes the guard, as `/session` answers. */
export interface AnsweredSession {
  /** Id of the user. */
  userId: string
  /** Id of the session. */
  sessionId: string
  /** Device that verified the session, `recovery` for a recovery code, null if none did. */
  otpDeviceId: string | null
  /** Time of the last accepted code or passkey in Unix seconds; null if there was none. */
  otpTime: number | null
  /** ISO time at which the session ends at the latest. */
  expiresAt: string
}

/** Reads a bearer token (RFC 6750 §2). Undefined if there is none. */
export function bearerOf (authorization: string | null | undefined): string | undefined {
  return /^Bearer +([A-Za-z0-9._-]+)$/i.exec(authorization ?? '')?.[1]
}

function headerOf ({ headers }: AskedRequest, name: string): string | undefined {
  const value = typeof headers.get === 'function' ? headers.get(name) : (headers as IncomingHttpHeaders)[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** Authorization header of a request. */
export const authorizationOf = (request: AskedRequest): string | undefined => headerOf(request, 'authorization')

/**
 * Returns `X-Forwarded-For` for the question: the one of the request, and the address that sent it. So the service's limits see the
 * client, where TRUSTED_PROXIES names this machine.
 */
export function forwardedFor (request: AskedRequest): string | undefined {
  const sender = 'socket' in request ? request.socket?.remoteAddress : undefined
  const all = [headerOf(request, 'x-forwarded-for'), sender].filter((address) => address !== undefined)
  return all.length === 0 ? undefined : all.join(', ')
}

/** Asks the service about a session. @throws {Refusal} also if it does not answer in time */
export async function askSession (http: Http, authorization: string | undefined, demand: Demand, from?: string): Promise<AnsweredSession> {
  const { required = false, maxAge, phishingResistant = false } = demand
  const query = [
    ...required ? ['required'] : [],
    ...maxAge === undefined ? [] : [`maxAge=${Math.min(Math.floor(maxAge), MOST_AGE_SECONDS)}`],
    ...phishingResistant ? ['phishingResistant'] : []
  ].join('&')
  const headers = {
    ...(authorization === undefined ? {} : { authorization }),
    ...(from === undefined ? {} : { 'x-forwarded-for': from })
  }
  let answer: Answered
  try {
    answer = await http.get(`/session${query === '' ? '' : '?'}${query}`, { headers, timeoutMs: ANSWER_MS })
  } catch (error) {
    throw new Refusal('UNAVAILABLE', {}, { cause: error })
  }
  if (answer.status !== 200) throw refusalOf(answer)
  return sessionOf(answer.text)
}

function sessionOf (text: string): AnsweredSession {
  let session: Partial<AnsweredSession> | null = null
  try {
    session = JSON.parse(text)
  } catch {}
  if (typeof session?.userId !== 'string' || typeof session.sessionId !== 'string') {
    throw new Refusal('UNAVAILABLE', {}, { cause: new Error('The answer of /session cannot be read') })
  }
  return session as AnsweredSession
}
