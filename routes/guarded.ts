import type { FastifyInstance, onRequestHookHandler } from 'fastify'

/**
 * Puts a guard before every route that is registered in the scope from here on, hidden ones too. After the limits per
 * network, so that those who are not let in are counted; a hook of the whole scope would come before them.
 */
export function guarded (scope: FastifyInstance, guard: onRequestHookHandler): void {
  scope.addHook('onRoute', (route) => {
    const hooks = [route.onRequest ?? []].flat()
    if (!hooks.includes(guard)) route.onRequest = [...hooks, guard]
  })
}
