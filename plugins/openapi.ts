import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

const DESCRIPTION = `An optional second factor for REST APIs.

**Try it here.** \`POST /users\`, then \`POST /token\`; put \`access\` into *Authorize*. \`POST /totp/create\` answers a QR
code; send a code to \`POST /totp/login\` and authorize with the new \`access\`.

**The plain guard accepts users without a device:** 2FA is optional, so \`otpVerified\` asks for a code only from users with a
device. \`required\` asks every user for a second factor, \`maxAge\` for a recent one.

**Errors** have one shape: \`{ statusCode, code, error, message }\`. \`code\` is API; the message may change.`

export interface OpenapiOptions {
  version: string
  /** True if the app has `/openapi.json` and `/docs`. `app.swagger()` has the document in any case. */
  isServed?: boolean
}

/** `GET /openapi.json` and the page at `/docs`. Register it before the routes, because it collects them. */
async function openapi (app: FastifyInstance, { version, isServed = true }: OpenapiOptions): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Countersign', version, description: DESCRIPTION, license: { name: 'MIT', identifier: 'MIT' } },
      servers: [{ url: '/' }],
      tags: [
        { name: 'Tokens', description: 'Log in, refresh, log out' },
        { name: 'Second factor', description: 'Set up, verify, recover, switch off' },
        { name: 'Session', description: 'The guard as an endpoint' },
        { name: 'Account', description: 'Users of the service' },
        { name: 'Staff', description: 'Accounts of other users, for staff with a second factor' },
        { name: 'Operations', description: 'Probes and metrics' }
      ],
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } }
    }
  })
  if (!isServed) return
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: true,
    // The page loads from our own origin only, and works without TLS.
    transformStaticCSP: (header) => header.replace(' validator.swagger.io', '').replace(/ *upgrade-insecure-requests;?/, ''),
    uiConfig: { persistAuthorization: true, tryItOutEnabled: true, displayRequestDuration: true },
    theme: { title: 'Countersign' }
  })
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
    reply.header('cache-control', 'no-cache')
    return app.swagger()
  })
}

export default fp(openapi, { name: 'openapi', fastify: '5.x' })
