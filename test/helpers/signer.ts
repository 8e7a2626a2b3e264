import Fastify from 'fastify'
import tokens, { type Tokens } from '../../plugins/tokens.js'
import type { Config } from '../../src/config/config.js'

/** Issues the tokens of a service with this configuration, in this process. */
export async function signer ({ jwtAlg, jwtKeys = [], jwtIssuer, jwtAudience, accessSeconds, refreshSeconds }: Config): Promise<Tokens> {
  const app = Fastify()
  await app.register(tokens, {
    algorithm: jwtAlg,
    keys: jwtKeys,
    settings: { issuer: jwtIssuer, audience: jwtAudience, accessSeconds, refreshSeconds },
    nowSeconds: () => Date.now() / 1000
  })
  await app.ready()
  return app.tokens
}
