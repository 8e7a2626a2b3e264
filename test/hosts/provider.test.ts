/** Host behind another company's identity provider: it only verifies the provider's tokens. */
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { need } from '../helpers/need.js'
import { freshKeys } from '../helpers/settings.js'
import { installHost } from './host.js'
import { visitorAt } from './visitor.js'
import { wholeFlow } from './whole-flow.js'

await need('postgres')
t.setTimeout(600_000)

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const jwks = createServer((_request, reply) => {
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: '1', alg: 'EdDSA' }
  reply.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [jwk] }))
}).listen(0, '127.0.0.1')
await once(jwks, 'listening')
t.teardown(() => jwks.close())

/** Returns a token of the provider, which the host did not issue. */
function tokenFor (name: string): string {
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    iss: 'https://login.example.org',
    aud: 'acme',
    sub: `provider|${name}@example.org`,
    sid: randomUUID(),
    auth_time: now,
    iat: now,
    exp: now + 3600
  }
  const text = [{ alg: 'EdDSA', kid: '1' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${text}.${sign(null, Buffer.from(text), privateKey).toString('base64url')}`
}

const installed = await installHost(t, 'provider')
const { base } = await installed.start({
  JWKS_URL: `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/`, SEAL_KEYS: freshKeys()['SEAL_KEYS']!
})

t.test('the whole flow', async (t) => {
  await wholeFlow(t, {
    clock: installed.clock,
    prefix: '/totp',
    guarded: [
      { method: 'GET', path: '/orders', demand: 'plain' },
      { method: 'DELETE', path: '/orders', demand: 'fresh' },
      { method: 'GET', path: '/refunds', demand: 'required' }
    ],
    logIn: async (name) => visitorAt([base], { token: tokenFor(name) }),
    codeOf: ({ json }) => json.code,
    sameSession: true
  })
})

t.test("somebody else's token is nobody's", async (t) => {
  const other = generateKeyPairSync('ed25519').privateKey
  const [head, body] = tokenFor('ada').split('.')
  const forged = `${head}.${body}.${sign(null, Buffer.from(`${head}.${body}`), other).toString('base64url')}`
  for (const token of [forged, 'x', '']) t.equal((await visitorAt([base], { token }).ask('GET', '/orders')).status, 401)
})
