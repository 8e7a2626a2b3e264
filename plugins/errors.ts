import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { acceptedLanguage } from '../routes/users/language.js'
import { messageIn } from '../src/core/messages/index.js'
import { Refusal } from '../src/core/refusals.js'
import { reasonOf } from '../src/postgres/unusable.js'
import { asRefusal, errorBody } from '../routes/error-body.js'

/** Returns the message of a refusal in the language that the client asks for. */
function translation ({ code, details }: Refusal, request: FastifyRequest): { message?: string } {
  const language = acceptedLanguage(request)
  return language === null ? {} : { message: messageIn(language, code, details) }
}

/** Converts errors to HTTP answers. No other place of the service does so. */
async function errors (app: FastifyInstance): Promise<void> {
  app.setErrorHandler((error, request, reply) => {
    const refusal = asRefusal(error)
    // During an outage of PostgreSQL each request fails for the same reason, so a stack adds no information.
    const facts = refusal.code === 'UNAVAILABLE' ? { reason: reasonOf(refusal) } : { err: refusal.cause ?? refusal }
    if (refusal.statusCode >= 500) request.log.error({ ...facts, code: refusal.code }, 'request failed')
    const body = { ...errorBody(refusal.code, refusal.details), ...translation(refusal, request), requestId: request.id }
    void reply.code(refusal.statusCode).headers(refusal.headers).send(body)
  })
  app.setNotFoundHandler(() => { throw new Refusal('NOT_FOUND') })
}

export default fp(errors, { name: 'errors', fastify: '5.x' })
