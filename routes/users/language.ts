import type { FastifyRequest } from 'fastify'
import Negotiator from 'negotiator'
import { languages, type Language } from '../../src/core/notices/texts.js'

/** Returns the language that the client likes best among those that texts exist in; null if it names none of them. */
export function acceptedLanguage (request: FastifyRequest): Language | null {
  if (request.headers['accept-language'] === undefined) return null
  return (new Negotiator(request.raw).languages([...languages])[0] ?? null) as Language | null
}
