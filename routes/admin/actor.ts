import type { FastifyRequest } from 'fastify'
import type { Actor } from '../../src/staff/statements.js'
import { originOf } from '../requester.js'

/** Returns the requester as a member of staff. Only behind a guard. */
export function actorOf (request: FastifyRequest): Actor {
  const { userId, sessionId } = request.countersign!
  return { id: userId, sessionId, ...originOf(request) }
}
