import { createHash } from 'node:crypto'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Kind } from '../routes/account/security-events.js'
import { docsPageOf } from './docs-page.js'
import { namedSchemas } from './named-schemas.js'

const DESCRIPTION = `An optional second factor for REST APIs.

**Try it at \`/docs\`.** \`POST /users\`, then \`POST /token\`, and *Use this access token*. \`POST /totp/create\` answers a QR
code; send a code to \`POST /totp/login\` and use the new token.

**The plain guard accepts users without a device:** 2FA is optional, so \`otpVerified\` asks for a code only from users with a
device. \`required\` asks every user for a second factor, \`maxAge\` for a recent one.

**Errors** have one shape, \`Refusal\`: \`{ statusCode, code, error, message }\` with the details of the code. \`code\` is API; the
message may change. The \`default\` response of each operation has the refusals that any request may get, such as 405 for a method
that a path does not have, and 431.

**Lists of codes, kinds and methods are open:** values are added. A client must accept a value that it does not know.`

const PAGE = 'This document as a page, to try the operations'

const tags = [
  { name: 'Tokens', description: 'Log in, refresh, log out' },
  { name: 'Second factor', description: 'Set up, verify, recover, switch off' },
  { name: 'Session', description: 'The guard as an endpoint' },
  { name: 'Account', description: 'Users of the service' },
  { name: 'Mail', description: 'Verified addresses and forgotten passwords' },
  { name: 'Staff', description: 'Accounts of other users, for staff with a second factor' },
  { name: 'Operations', description: 'Probes and metrics' }
]

const schemaRef = (name: string) => ({ $ref: `#/components/schemas/${name}` })
const jsonOf = (name: string) => ({ 'application/json': { schema: schemaRef(name) } })
const header = (name: string, description: string) =>
  ({ in: 'header' as const, name, required: true, description, schema: { type: 'string' as const } })

const text = { type: 'string' as const }
const nullableText = { type: ['string', 'null'] as never }
const SecurityEventMessage = {
  type: 'object' as const,
  required: ['type', 'timestamp', 'data'],
  properties: {
    type: Kind as never,
    timestamp: { type: 'string' as const, format: 'date-time' },
    data: {
      title: 'SecurityEventData',
      type: 'object' as const,
      required: ['id', 'userId', 'sessionId', 'ip', 'agent', 'deviceName', 'actorId', 'detail'],
      properties: {
        id: text,
        userId: text,
        sessionId: nullableText,
        ip: text,
        agent: text,
        deviceName: nullableText,
        actorId: nullableText,
        detail: nullableText,
        count: { type: 'integer' as const }
      }
    }
  }
}

const webhooks = {
  securityEvent: {
    post: {
      operationId: 'receiveSecurityEvent',
      tags: ['Account'],
      summary: 'A security event, signed, at `WEBHOOK_URL`',
      description: 'By standardwebhooks.com. Delivered at least once, not always in order.',
      security: [],
      parameters: [
        header('webhook-id', 'The same in each delivery of an event.'),
        header('webhook-timestamp', 'Unix seconds of this delivery.'),
        header('webhook-signature', 'One `v1,` signature for each key.')
      ],
      requestBody: { required: true, content: jsonOf('SecurityEventMessage') },
      responses: { '2XX': { description: 'Received.' }, '4XX': { description: 'Sent again later.' } }
    }
  }
}

export interface OpenapiOptions {
  version: string
  /** Address under which clients reach the service. */
  publicUrl?: string
  /** True if the app has `/openapi.json` and `/docs`. `app.swagger()` has the document in any case. */
  isServed?: boolean
}

/** `GET /openapi.json` and the page at `/docs`. Register it before the routes, because it collects them. */
async function openapi (app: FastifyInstance, { version, publicUrl, isServed = true }: OpenapiOptions): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Countersign', version, description: DESCRIPTION, license: { name: 'MIT', identifier: 'MIT' } },
      // OpenAPI has no relative address here.
      ...(publicUrl === undefined ? {} : { externalDocs: { description: PAGE, url: `${publicUrl.replace(/\/$/, '')}/docs` } }),
      servers: [{ url: publicUrl ?? '/' }],
      security: [{ bearer: [] }],
      tags,
      webhooks: webhooks as never,
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          clientKey: { type: 'http', scheme: 'bearer', description: 'One of `CLIENT_KEYS`, without its name.' }
        },
        schemas: { SecurityEventMessage }
      }
    },
    transformObject: (document) => namedSchemas(document as { openapiObject: object })
  })
  if (!isServed) return
  await app.register(swaggerUi, docsPageOf(publicUrl === undefined ? '' : new URL(publicUrl).pathname.replace(/\/$/, '')))
  /** The document is complete once the app is ready, and does not change. */
  let served: { text: string, etag: string } | undefined
  app.get('/openapi.json', { schema: { hide: true } }, async (request, reply) => {
    if (served === undefined) {
      const text = JSON.stringify(app.swagger())
      served = { text, etag: `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"` }
    }
    reply.header('cache-control', 'no-cache').header('etag', served.etag)
    if (request.headers['if-none-match']?.includes(served.etag) === true) return await reply.code(304).send()
    return await reply.type('application/json; charset=utf-8').send(served.text)
  })
}

export default fp(openapi, { name: 'openapi', fastify: '5.x' })
