import { STATUS_CODES } from 'node:http'
import type { FastifyError } from 'fastify'
import { messageOf, Refusal, refusals, type RefusalCode, type RefusalDetails } from '../src/core/refusals.js'

export interface ErrorBody extends Omit<RefusalDetails, 'hint'> {
  statusCode: number
  code: RefusalCode
  error: string
  message: string
  /** Id of the request, as in the log. */
  requestId?: string
}

/** Returns the body of an error, in Fastify's own shape, so that refusals in a host's app look like its other errors. */
export function errorBody (code: RefusalCode, given: RefusalDetails = {}): ErrorBody {
  const [statusCode] = refusals[code]
  const { hint, ...details } = given
  return { statusCode, code, error: STATUS_CODES[statusCode]!, message: messageOf(code, given), ...details }
}

/** Fastify's own errors as our codes. Any other status below 500 is a request that cannot be read. */
const fromFastify: Record<string, RefusalCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'MEDIA_TYPE_UNSUPPORTED',
  FST_ERR_NOT_FOUND: 'NOT_FOUND'
}

/** Converts any error to a refusal. A 5xx answer has no internal details; the log has all of them. */
export function asRefusal (error: unknown): Refusal {
  if (error instanceof Refusal) return error
  const { code = '', statusCode = 500, message, validation } = (error ?? {}) as Partial<FastifyError>
  const known = fromFastify[code]
  if (known !== undefined) return new Refusal(known, {}, { cause: error })
  if (validation !== undefined) {
    return new Refusal('REQUEST_INVALID', { hint: { key: 'verbatim', values: { text: message ?? '' } } }, { cause: error })
  }
  if (statusCode < 500) return new Refusal('REQUEST_INVALID', {}, { cause: error })
  return new Refusal('INTERNAL_ERROR', {}, { cause: error })
}
