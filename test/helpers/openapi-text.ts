import type { FastifyInstance } from 'fastify'

/** Returns the document in the form that is committed. */
export function openapiText (app: FastifyInstance): string {
  return JSON.stringify(app.swagger(), null, 2) + '\n'
}
