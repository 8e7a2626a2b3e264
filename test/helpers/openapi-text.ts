import type { FastifyInstance } from 'fastify'

/** The document as it is committed. */
export function openapiText (app: FastifyInstance): string {
  return JSON.stringify(app.swagger(), null, 2) + '\n'
}
