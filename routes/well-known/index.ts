import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { refused } from '../refused.js'
import { open } from '../schemas.js'

/** Cache time of our public keys: a reader that asks every 15 s by way of a cache knows a key within 30 s, and then it signs. */
const KEYS_SECONDS = 15

const text = Type.String()
const Jwk = Type.Object({ kid: text, kty: text, crv: text, x: text, alg: text, use: text }, { title: 'Jwk' })
const Jwks = Type.Object({ keys: Type.Array(Jwk) }, {
  title: 'Jwks',
  description: 'The keys.',
  examples: [{
    keys: [{ kid: '2026', kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', alg: 'EdDSA', use: 'sig' }]
  }]
})

const wellKnownRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get('/jwks.json', {
    schema: {
      operationId: 'getJwks',
      tags: ['Tokens'],
      security: open,
      summary: 'Public keys of the tokens (RFC 7517); empty under HS256',
      description: 'For services that verify by themselves: with `otp_required` true and `otp_device_id` null, refuse. They learn of ' +
        'an ended session only when its access token expires, unless they follow `/revocations`.',
      response: {
        200: Jwks,
        ...refused([])
      }
    },
    handler: async (_request, reply) => {
      reply.header('cache-control', `public, max-age=${KEYS_SECONDS}`)
      return app.tokens.jwks as never
    }
  })
}

export default wellKnownRoutes
