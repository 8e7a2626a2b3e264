import type { FastifyPluginAsync } from 'fastify'

export interface HomeOptions {
  /** True if the page of the API is served. */
  hasDocs: boolean
}

/** `GET /`: leads people to the page of the API, and programs to its addresses. Addresses are relative, for a proxy with a path prefix. */
const home: FastifyPluginAsync<HomeOptions> = async (app, { hasDocs }) => {
  const places = { name: 'Countersign', ...(hasDocs ? { docs: 'docs/', openapi: 'openapi.json' } : {}), ready: 'readyz' }
  app.get('/', { schema: { hide: true } }, async ({ headers }, reply) => {
    reply.header('vary', 'accept')
    if (hasDocs && headers.accept?.includes('text/html') === true) return await reply.redirect(places.docs!)
    return places
  })
}

export default home
