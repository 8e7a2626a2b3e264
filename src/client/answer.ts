import { STATUS_CODES } from 'node:http'
import { isRefusal, Refusal, refusals, type RefusalCode, type RefusalDetails } from '../core/refusals.js'
import type { Answered } from './http.js'

/** Answer to a request that is refused, for any framework. */
export interface RefusalAnswer {
  /** Status of HTTP. */
  status: number
  /** Challenge, code and wait, and that it must not be stored. */
  headers: Record<string, string>
  /** JSON. */
  body: object
}

/** Bodies of the service, which are passed on as they are. */
const passedOn = new WeakMap<Refusal, object>()

/** Returns the answer of a refusal: status, challenge and body, as Countersign itself answers. Undefined for any other error. */
export function refusalAnswer (error: unknown): RefusalAnswer | undefined {
  if (!isRefusal(error)) return undefined
  const { statusCode, code, message, details: { hint, ...details } } = error
  const body = passedOn.get(error) ?? { statusCode, code, error: STATUS_CODES[statusCode], message, ...details }
  return { status: statusCode, headers: { 'cache-control': 'no-store', ...error.headers }, body }
}

/** Codes for refusals of a newer service whose own code this release does not know, by status. */
const standIns: Record<number, RefusalCode> = { 400: 'REQUEST_INVALID', 401: 'TOKEN_INVALID', 403: 'OTP_REQUIRED', 429: 'RATE_LIMITED' }

/** Form of codes, of later releases too. */
const CODE = /^[A-Z][A-Z_]*$/

/** Headers of the service's refusal that reach the client. */
const PASSED = ['www-authenticate', 'retry-after', 'x-refusal']

/**
 * Returns the refusal of the service with its status, body and challenge. An answer that is no refusal, a fault of the service, and
 * a 400 or 403 that is not the service's are UNAVAILABLE.
 */
export function refusalOf ({ status, headers, text }: Answered): Refusal {
  const standIn = standIns[status]
  if (standIn === undefined) return new Refusal('UNAVAILABLE', {}, { cause: new Error(`/session was answered ${status}`) })
  let body: Record<string, unknown> = {}
  try {
    const found: unknown = JSON.parse(text)
    if (typeof found === 'object' && found !== null) body = found as typeof body
  } catch (error) {
    return new Refusal('UNAVAILABLE', {}, { cause: error })
  }
  const { statusCode, retryAfterSeconds, maxAgeSeconds } = body
  const isOurs = statusCode === status && typeof body['code'] === 'string' && CODE.test(body['code'])
  // A proxy between has errors of its own: its 403 does not say that a second factor is owed.
  if (!isOurs && status !== 401 && status !== 429) {
    return new Refusal('UNAVAILABLE', {}, { cause: new Error(`/session was answered ${status} with a body that is not the service's`) })
  }
  const code = isOurs ? body['code'] as string : undefined
  const methods = Array.isArray(body['methods']) ? body['methods'] : undefined
  const details = JSON.parse(JSON.stringify({ retryAfterSeconds, maxAgeSeconds, methods })) as RefusalDetails
  const refusal = new Refusal(code !== undefined && Object.hasOwn(refusals, code) ? code as RefusalCode : standIn, details)
  const given = PASSED.flatMap((name) => typeof headers[name] === 'string' ? [[name, headers[name]]] : [])
  const all = { ...refusal.headers, ...Object.fromEntries(given) }
  Object.assign(refusal, { statusCode: status, status, code: code ?? standIn, headers: all })
  if (typeof body['message'] === 'string') refusal.message = body['message']
  if (code !== undefined) passedOn.set(refusal, body)
  return refusal
}
