import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { refusalExample, refusalProperties, refused } from '../refused.js'
import { open } from '../schemas.js'

export interface Readiness {
  postgres: 'up' | 'down'
  redis: 'up' | 'down' | 'none'
  /** Reason, a sentence, why the service is not ready; null if it is. */
  fault: string | null
}

export interface OpsRoutesOptions {
  readiness: () => Readiness
  /** Returns Prometheus text; null if a port of its own serves it. */
  metrics: (() => Promise<{ type: string, text: string }>) | null
  /** Name of the database in use, which /readyz shows to operators. */
  store: string
  /** Returns true if the request comes from an operator. */
  showsStore: (request: FastifyRequest) => boolean
}

const Live = Type.Object({ status: Type.String() }, { title: 'Live', description: 'The process answers.', examples: [{ status: 'ok' }] })
const states = {
  status: Type.String(),
  postgres: Type.Unsafe<'up' | 'down'>({ type: 'string', enum: ['up', 'down'] }),
  redis: Type.Unsafe<'up' | 'down' | 'none'>({ type: 'string', enum: ['up', 'down', 'none'] }),
  store: Type.Optional(Type.String({
    description: 'The database in use. Only for requests from the same machine that no proxy passed on, and on `OPS_PORT`.'
  }))
}
const Ready = Type.Object(states, {
  title: 'Ready', description: 'The process can serve.', examples: [{ status: 'ready', postgres: 'up', redis: 'none' }]
})
const NotReady = Type.Object({ ...refusalProperties('UNAVAILABLE'), ...states }, {
  title: 'NotReady',
  description: '`UNAVAILABLE`, with the states.',
  examples: [{
    ...refusalExample('UNAVAILABLE'), message: 'PostgreSQL does not answer.', status: 'unavailable', postgres: 'down', redis: 'none'
  }]
})

const opsRoutes: FastifyPluginAsyncTypebox<OpsRoutesOptions> = async (app, { readiness, metrics, store, showsStore }) => {
  const common = { config: { limit: 'none' as const } }
  const shown = { tags: ['Operations'], security: open }

  app.get('/livez', {
    ...common,
    schema: { operationId: 'checkLiveness', ...shown, summary: 'Check that the process answers', response: { 200: Live, ...refused([]) } },
    handler: async () => ({ status: 'ok' })
  })

  app.get('/readyz', {
    ...common,
    schema: {
      operationId: 'checkReadiness',
      ...shown,
      summary: 'Check that the process can serve: needs PostgreSQL, not Redis',
      response: { 200: Ready, ...refused([]), 503: NotReady }
    },
    handler: async (request, reply) => {
      const { fault, ...dependencies } = readiness()
      const found = { ...dependencies, ...(showsStore(request) ? { store } : {}) }
      if (fault === null && !app.isLeaving()) return { status: 'ready', ...found }
      const [status, message] = app.isLeaving() ? ['leaving', 'It was told to end.'] : ['unavailable', fault]
      return await reply.code(503).headers({ 'retry-after': '1', 'x-refusal': 'UNAVAILABLE' }).send({
        statusCode: 503,
        code: 'UNAVAILABLE',
        error: 'Service Unavailable',
        message,
        retryAfterSeconds: 1,
        requestId: request.id,
        status,
        ...found
      } as never)
    }
  })

  if (metrics === null) return
  app.get('/metrics', {
    config: { limit: 'metrics' as const },
    schema: {
      operationId: 'getMetrics',
      ...shown,
      summary: 'Metrics in the text format of Prometheus',
      produces: ['text/plain'],
      response: { 200: Type.String({ title: 'Metrics', description: 'One metric a line.' }), ...refused([]) }
    },
    handler: async (_request, reply) => {
      const { type, text } = await metrics()
      return await reply.type(type).send(text)
    }
  })
}

export default opsRoutes
