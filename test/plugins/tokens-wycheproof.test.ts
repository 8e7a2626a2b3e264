import { generateKeyPairSync } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import tokens, { type Tokens, type TokensOptions } from '../../plugins/tokens.js'
import type { SessionFacts } from '../../src/core/session.js'
import { hmac } from '../helpers/jws.js'

interface Vectors {
  /** HMAC keys in base64url, with the tokens made by them. */
  hmac: Array<{ kid: string, k: string, valid: string[], invalid: string[] }>
  /** Invalid tokens with RSA and elliptic curve keys. */
  others: string[]
}

const { hmac: groups, others } = JSON.parse(await readFile('test/fixtures/wycheproof/json-web-signature.json', 'utf8')) as Vectors
const invalid = [...groups.flatMap((group) => group.invalid), ...others]

const NOW = 1_800_000_000
const settings = { issuer: 'us', audience: 'them', accessSeconds: 300, refreshSeconds: 86_400 }
const session: SessionFacts = {
  userId: 'u1',
  sessionId: 's1',
  amr: ['pwd'],
  otpRequired: false,
  otpDeviceId: null,
  otpTime: null,
  otpDeadline: null,
  authTime: NOW,
  expiresAt: NOW + 2_592_000,
  generation: 0,
  issuedAt: NOW
}

async function issuer (t: Test, options: Pick<TokensOptions, 'algorithm' | 'keys'>): Promise<Tokens> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(tokens, { settings, nowSeconds: () => NOW, ...options })
  return app.tokens
}

function refusesAll (t: Test, at: Tokens, vectors: readonly string[], ring: string): void {
  t.equal(at.verify('access', at.issue(session).access).sub, 'u1', `${ring} verifies what it signed`)
  for (const vector of vectors) {
    for (const kind of ['access', 'refresh'] as const) {
      t.throws(() => at.verify(kind, vector), { code: 'TOKEN_INVALID', statusCode: 401 }, `${ring}, ${kind}: ${vector.slice(0, 100)}`)
    }
  }
}

t.test('the vectors are whole, and the hand that signs our forgeries agrees with the valid ones', async (t) => {
  t.equal(invalid.length, 355)
  let checked = 0
  for (const { kid, k, valid } of groups) {
    const key = Buffer.from(k, 'base64url')
    t.equal(key.length, 32, kid)
    for (const vector of valid) {
      // Two vectors are valid only for decoders that drop characters outside base64url.
      if (!/^[\w.-]+$/.test(vector)) continue
      checked++
      const dot = vector.lastIndexOf('.')
      t.equal(hmac(key)(vector.slice(0, dot)).toString('base64url'), vector.slice(dot + 1), vector)
    }
  }
  t.equal(checked, 8)
})

t.test('J1 the invalid signatures of Wycheproof are refused under the very key that they were made for', async (t) => {
  for (const { kid, k, invalid, valid } of groups) {
    const at = await issuer(t, { algorithm: 'HS256', keys: [{ kid, bytes: Buffer.from(k, 'base64url') }] })
    // The valid vectors have no claims and none of our types, so they are refused too.
    refusesAll(t, at, [...invalid, ...valid], kid)
  }
})

t.test('J1 the invalid signatures under other keys and algorithms are refused', async (t) => {
  const keys = groups.map(({ kid, k }) => ({ kid, bytes: Buffer.from(k, 'base64url') }))
  refusesAll(t, await issuer(t, { algorithm: 'HS256', keys: [...new Map(keys.map((key) => [key.kid, key])).values()] }), others, 'HS256')
  const pkcs8 = generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' })
  refusesAll(t, await issuer(t, { algorithm: 'EdDSA', keys: [{ kid: 'kid-aes-sign', bytes: pkcs8 }] }), invalid, 'EdDSA')
})
