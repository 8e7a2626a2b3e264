import type { FastifyRequest } from 'fastify'
import type { Asking, Origin } from '../src/core/session.js'

/** Long enough to recognise a browser by; the rest is not ours to keep. */
const AGENT_LENGTH = 256

/** Who asks, for the flows. Only behind a guard. */
export function askingOf (request: FastifyRequest): Asking {
  return { standing: request.countersign!, ...originOf(request) }
}

/** Whoever comes in through a Unix socket has no address, whatever Fastify's type says. */
export function originOf (request: FastifyRequest): Origin {
  return { ip: request.ip ?? '', agent: (request.headers['user-agent'] ?? '').slice(0, AGENT_LENGTH) }
}
