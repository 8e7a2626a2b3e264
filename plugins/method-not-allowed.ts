import type { FastifyInstance, HTTPMethods } from 'fastify'
import fp from 'fastify-plugin'
import { Refusal } from '../src/core/refusals.js'

const METHODS: HTTPMethods[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']

/**
 * Answers 405 with `Allow` for a path that exists under another method. Register it first, so that it sees every route. It
 * adds its own routes just before the app is ready. HEAD stays 404 where it does not exist: a second attempt never helps.
 */
async function methodNotAllowed (app: FastifyInstance): Promise<void> {
  const methodsByUrl = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method, config }) => {
    if ((config as { is405?: boolean } | undefined)?.is405 === true) return
    const known = methodsByUrl.get(url) ?? new Set()
    for (const one of [method].flat()) known.add(one)
    methodsByUrl.set(url, known)
  })

  app.decorate('refuseOtherMethods', () => {
    for (const [url, known] of methodsByUrl) {
      const missing = METHODS.filter((method) => !known.has(method))
      if (url.includes('*') || missing.length === 0) continue
      const allow = [...known].sort().join(', ')
      app.route({
        url,
        method: missing,
        exposeHeadRoute: false,
        config: { is405: true } as object,
        schema: { hide: true } as object,
        onRequest: (_request, reply, done) => {
          reply.header('allow', allow)
          done(new Refusal('METHOD_NOT_ALLOWED'))
        },
        handler: () => {}
      })
    }
  })
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Call it after all routes are registered. */
    refuseOtherMethods: () => void
  }
}

export default fp(methodNotAllowed, { name: 'method-not-allowed', fastify: '5.x' })
