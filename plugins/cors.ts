import cors from '@fastify/cors'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

/** Lets pages of these origins call. */
async function corsPlugin (app: FastifyInstance, { origins }: { origins: readonly string[] }): Promise<void> {
  const allowed = {
    origin: [...origins],
    exposedHeaders: ['WWW-Authenticate', 'Retry-After', 'X-Refusal', 'X-Request-Id'],
    methods: ['GET', 'POST', 'PATCH', 'DELETE'],
    maxAge: 600,
    strictPreflight: false
  }
  // A gateway asks below /session about OPTIONS requests too: they get the guard's answer, never that of a preflight.
  const none = { ...allowed, origin: false }
  const isAllowed = (request: FastifyRequest) =>
    request.method !== 'OPTIONS' || request.routeOptions.config.limit !== 'reads' || asksForSession(request, origins)
  await app.register(cors, { delegator: (request, done) => { done(null, isAllowed(request) ? allowed : none) } })
}

/** True for a browser's preflight of `GET /session`, on that path alone. A gateway asks it by GET, or takes no 204 for a yes. */
function asksForSession ({ url, headers }: FastifyRequest, origins: readonly string[]): boolean {
  return url.split('?', 1)[0] === '/session' && headers['access-control-request-method'] === 'GET' &&
    headers.origin !== undefined && origins.includes(headers.origin)
}

export default fp(corsPlugin, { name: 'cors', fastify: '5.x' })
