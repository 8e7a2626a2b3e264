import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { refused } from '../schemas.js'

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

const Answer = Type.Object({ status: Type.String() }, { examples: [{ status: 'ok' }] })
const Ready = Type.Object({
  status: Type.String(),
  postgres: Type.Union([Type.Literal('up'), Type.Literal('down')]),
  redis: Type.Union([Type.Literal('up'), Type.Literal('down'), Type.Literal('none')]),
  store: Type.Optional(Type.String({
    description: 'The database in use. Only for requests from the same machine that no proxy passed on, and on `OPS_PORT`.'
  }))
}, { examples: [{ status: 'ready', postgres: 'up', redis: 'none' }] })

const opsRoutes: FastifyPluginAsyncTypebox<OpsRoutesOptions> = async (app, { readiness, metrics, store, showsStore }) => {
  const common = { config: { limit: 'none' as const } }
  const tags = ['Operations']

  app.get('/livez', {
    ...common,
    schema: { operationId: 'live', tags, summary: 'Whether the process answers', response: { 200: Answer } },
    handler: async () => ({ status: 'ok' })
  })

  app.get('/readyz', {
    ...common,
    schema: {
      operationId: 'ready',
      tags,
      summary: 'Whether the process can serve: needs PostgreSQL, not Redis',
      response: {
        200: Ready,
        503: Type.Composite([refused([])[503]! as typeof Ready, Ready], {
          examples: [{
            statusCode: 503,
            code: 'UNAVAILABLE',
            error: 'Service Unavailable',
            message: 'PostgreSQL does not answer.',
            retryAfterSeconds: 1,
            status: 'unavailable',
            postgres: 'down',
            redis: 'none'
          }]
        })
      }
    },
    handler: async (request, reply) => {
      const { fault, ...dependencies } = readiness()
      const states = { ...dependencies, ...(showsStore(request) ? { store } : {}) }
      if (fault === null && !app.isLeaving()) return { status: 'ready', ...states }
      const [status, message] = app.isLeaving() ? ['leaving', 'It was told to end.'] : ['unavailable', fault]
      return await reply.code(503).header('retry-after', '1').send({
        statusCode: 503, code: 'UNAVAILABLE', error: 'Service Unavailable', message, retryAfterSeconds: 1, status, ...states
      } as never)
    }
  })

  if (metrics === null) return
  app.get('/metrics', {
    config: { limit: 'metrics' as const },
    schema: {
      operationId: 'metrics',
      tags,
      summary: 'Metrics in the text format of Prometheus',
      produces: ['text/plain'],
      response: { 200: Type.String() }
    },
    handler: async (_request, reply) => {
      const { type, text } = await metrics()
      return await reply.type(type).send(text)
    }
  })
}

export default opsRoutes
