import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Refusal, refusals, type RefusalCode, type RefusalDetails } from '../src/core/refusals.js'
import { reasonOf } from '../src/postgres/unusable.js'

export interface ErrorBody {
  statusCode: number
  code: RefusalCode
  error: string
  message: string
  retryAfterSeconds?: number
  needsRecovery?: true
  maxAgeSeconds?: number
}

/** The one shape of an error: Fastify's own, so that an attached host's refusals look like its others. */
export function errorBody (code: RefusalCode, { hint, ...details }: RefusalDetails = {}): ErrorBody {
  const [statusCode, message] = refusals[code]
  return { statusCode, code, error: STATUS_CODES[statusCode]!, message: hint ?? message, ...details }
}

/** What Fastify itself refuses with, in our codes. Anything else below 500 is a request we cannot read. */
const fromFastify: Record<string, RefusalCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'MEDIA_TYPE_UNSUPPORTED',
  FST_ERR_NOT_FOUND: 'NOT_FOUND'
}

/** Anything thrown, as a refusal. A 5xx says nothing of the inside: the log says all. */
export function asRefusal (error: unknown): Refusal {
  if (error instanceof Refusal) return error
  const { code = '', statusCode = 500, message, validation } = (error ?? {}) as Partial<FastifyError>
  const known = fromFastify[code]
  if (known !== undefined) return new Refusal(known, {}, { cause: error })
  if (validation !== undefined) return new Refusal('REQUEST_INVALID', { hint: message ?? '' }, { cause: error })
  if (statusCode < 500) return new Refusal('REQUEST_INVALID', {}, { cause: error })
  return new Refusal('INTERNAL_ERROR', {}, { cause: error })
}

/** The service's only place where an error becomes HTTP. */
async function errors (app: FastifyInstance): Promise<void> {
  app.setErrorHandler((error, request, reply) => {
    const refusal = asRefusal(error)
    // While PostgreSQL is away, or busy, each request fails of the same: a stack says nothing more.
    const facts = refusal.code === 'UNAVAILABLE' ? { reason: reasonOf(refusal) } : { err: refusal.cause ?? refusal }
    if (refusal.statusCode >= 500) request.log.error({ ...facts, code: refusal.code }, 'request failed')
    void reply.code(refusal.statusCode).headers(refusal.headers).send(errorBody(refusal.code, refusal.details))
  })
  app.setNotFoundHandler(() => { throw new Refusal('NOT_FOUND') })
}

export default fp(errors, { name: 'errors', fastify: '5.x' })
