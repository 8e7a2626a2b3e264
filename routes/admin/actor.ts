import type { FastifyRequest } from 'fastify'
import type { Actor } from '../../src/staff/statements.js'
import { originOf } from '../asking.js'

/** The member of staff who asks, for the flows. Only behind a guard. */
export function actorOf (request: FastifyRequest): Actor {
  const { userId, sessionId } = request.countersign!
  return { id: userId, sessionId, ...originOf(request) }
}
