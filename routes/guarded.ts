import type { FastifyInstance, onRequestHookHandler } from 'fastify'

/**
 * Adds a guard to every route that the scope registers from now on, hidden ones included. It runs after the limits per
 * network, so that refused requests are counted; a hook of the whole scope would run before them.
 */
export function guarded (scope: FastifyInstance, guard: onRequestHookHandler): void {
  scope.addHook('onRoute', (route) => {
    const hooks = [route.onRequest ?? []].flat()
    if (!hooks.includes(guard)) route.onRequest = [...hooks, guard]
  })
}
