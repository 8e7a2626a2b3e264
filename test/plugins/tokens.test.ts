import { createPublicKey, generateKeyPairSync, randomBytes, verify, type JsonWebKey } from 'node:crypto'
import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import tokens, { type Tokens, type TokensOptions } from '../../plugins/tokens.js'
import type { SessionFacts } from '../../src/core/session.js'
import { ed25519, encoded, forge, hmac, opened, respelled, unsigned, type Fields } from '../helpers/jws.js'

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

async function issuer (t: Test, options: Partial<TokensOptions> = {}): Promise<Tokens> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(tokens, { algorithm: 'HS256', keys: [{ kid: 'one', bytes: secret }], settings, nowSeconds: () => NOW, ...options })
  return app.tokens
}

const secret = randomBytes(32)
const pair = generateKeyPairSync('ed25519')
const pkcs8 = pair.privateKey.export({ format: 'der', type: 'pkcs8' })
const spkiPem = pair.publicKey.export({ format: 'pem', type: 'spki' }) as string
const spkiDer = pair.publicKey.export({ format: 'der', type: 'spki' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })

const refused = (t: Test, at: Tokens, token: string, what: string) => {
  for (const kind of ['access', 'refresh'] as const) {
    t.throws(() => at.verify(kind, token), { code: 'TOKEN_INVALID', statusCode: 401 }, `${what} as ${kind}`)
  }
}

/** Tokens that this service did not make, each signed as its header says if that is possible. */
function forgeries (header: Fields, payload: Fields, token: string): Record<string, string> {
  const [h = '', p = '', s = ''] = token.split('.')
  const right = hmac(secret)
  const { kid, ...without } = header
  const forged: Record<string, string> = {
    'alg none': forge({ ...header, alg: 'none' }, payload, unsigned),
    'alg None': forge({ ...header, alg: 'None' }, payload, unsigned),
    'alg nOnE with a signature': forge({ ...header, alg: 'nOnE' }, payload, right),
    'alg empty': forge({ ...header, alg: '' }, payload, unsigned),
    'alg null': forge({ ...header, alg: null }, payload, right),
    'alg missing': forge({ typ: header['typ'], kid }, payload, right),
    'alg as an array': forge({ ...header, alg: ['HS256'] }, payload, right),
    'alg in lower case': forge({ ...header, alg: 'hs256' }, payload, right),
    HS384: forge({ ...header, alg: 'HS384' }, payload, hmac(secret, 'sha384')),
    HS512: forge({ ...header, alg: 'HS512' }, payload, hmac(secret, 'sha512')),
    'HS512 by its signature alone': `${h}.${p}.${hmac(secret, 'sha512')(`${h}.${p}`).toString('base64url')}`,
    RS256: forge({ ...header, alg: 'RS256' }, payload, right),
    'RS256 with a JWK of its own': forge({ ...header, alg: 'RS256', jwk: rsa.publicKey.export({ format: 'jwk' }) }, payload, right),
    'EdDSA with a JWK of its own': forge(
      { ...header, alg: 'EdDSA', jwk: generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }) }, payload, right
    ),
    'an HMAC key as JWK': forge({ ...header, alg: 'HS256', jwk: { kty: 'oct', k: encoded('x') } }, payload, hmac('x')),
    jku: forge({ ...header, jku: 'https://evil.example/jwks.json' }, payload, right),
    x5u: forge({ ...header, x5u: 'https://evil.example/cert.pem' }, payload, right),
    x5c: forge({ ...header, x5c: ['AAAA'] }, payload, right),
    crit: forge({ ...header, crit: ['exp'] }, payload, right),
    'crit, unknown': forge({ ...header, crit: ['http://example.org/UNDEFINED'], 'http://example.org/UNDEFINED': true }, payload, right),
    'crit, empty': forge({ ...header, crit: [] }, payload, right),
    'b64 false': forge({ ...header, b64: false, crit: ['b64'] }, payload, right),
    zip: forge({ ...header, zip: 'DEF' }, payload, right),
    'kid missing': forge(without, payload, right),
    'kid unknown': forge({ ...header, kid: 'two' }, payload, right),
    'kid empty': forge({ ...header, kid: '' }, payload, right),
    'kid as a path': forge({ ...header, kid: '../../../../dev/null' }, payload, hmac('')),
    'kid of a prototype': forge({ ...header, kid: '__proto__' }, payload, hmac('')),
    'typ JWT': forge({ ...header, typ: 'JWT' }, payload, right),
    'typ missing': forge({ alg: header['alg'], kid }, payload, right),
    'the empty key': forge(header, payload, hmac('')),
    'another key': forge(header, payload, hmac(randomBytes(32))),
    'the key as text': forge(header, payload, hmac(secret.toString('base64url'))),
    'the header twice': forge(`{"alg":"HS256","alg":"none","typ":"at+jwt","kid":"${String(kid)}"}`, payload, unsigned),
    'array header': forge([header], payload, right),
    'no signature': `${h}.${p}.`,
    'no second dot': `${h}.${p}`,
    'no dot': `${h}${p}${s}`,
    'four parts': `${token}.${s}`,
    'a dot before': `.${token}`,
    'a dot behind': `${token}.`,
    'empty header': `.${p}.${s}`,
    'empty payload': `${h}..${s}`,
    'dots alone': '..',
    nothing: '',
    'white space before': ` ${token}`,
    'white space behind': `${token} `,
    'a line feed behind': `${token}\n`,
    'white space in the signature': `${h}.${p}.${s.slice(0, 9)} ${s.slice(9)}`,
    'white space in the payload': `${h}.${p.slice(0, 9)}\n${p.slice(9)}.${s}`,
    'padding on the signature': `${token}=`,
    'padding on the payload': `${h}.${p}=.${s}`,
    'padding on the header': `${h}=.${p}.${s}`,
    'a character that base64 skips': `${h}.${p}.${s}!`,
    'a NUL behind': `${token}\0`,
    'signature cut short': `${h}.${p}.${s.slice(0, -4)}`,
    'signature prolonged': `${token}AAAA`,
    'signature of zeros': `${h}.${p}.${'A'.repeat(s.length)}`,
    'one bit of the signature': `${h}.${p}.${s.startsWith('A') ? 'B' : 'A'}${s.slice(1)}`,
    'another payload': `${h}.${encoded({ ...payload, sub: 'u2' })}.${s}`,
    'JSON serialization': JSON.stringify({ protected: h, payload: p, signature: s }),
    'a million characters': `${h}.${'A'.repeat(1_000_000)}.${s}`,
    'a hundred thousand dots': '.'.repeat(100_000)
  }
  for (const [what, value] of Object.entries({
    array: [payload], null: null, text: '"text"', number: 7, nothing: '', 'half an object': '{"iss":', true: true
  })) {
    forged[`payload: ${what}`] = forge(header, value, right)
  }
  return forged
}

t.test('J1 HS256: what we did not sign is refused, in whatever way', async (t) => {
  const at = await issuer(t)
  const { access, refresh } = at.issue(session)
  t.equal(at.verify('access', access).sub, 'u1')
  t.equal(at.verify('refresh', refresh).gen, 0)
  for (const token of [access, refresh]) {
    const { header, payload } = opened(token)
    for (const [what, forgery] of Object.entries(forgeries(header, payload, token))) refused(t, at, forgery, what)
  }
})

t.test('J1 EdDSA: the public key is no HMAC key, another curve is no key of ours', async (t) => {
  const at = await issuer(t, { algorithm: 'EdDSA', keys: [{ kid: 'one', bytes: pkcs8 }] })
  const { access } = at.issue(session)
  t.equal(at.verify('access', access).sub, 'u1')
  const { header, payload } = opened(access)
  const publicKeys = {
    pem: spkiPem,
    'pem, trimmed': spkiPem.trim(),
    der: spkiDer,
    raw: spkiDer.subarray(-32),
    x: String(pair.publicKey.export({ format: 'jwk' }).x)
  }
  for (const [what, key] of Object.entries(publicKeys)) {
    for (const alg of ['HS256', 'EdDSA']) {
      refused(t, at, forge({ ...header, alg }, payload, hmac(key)), `${alg} with the public key as ${what}`)
    }
  }
  refused(t, at, forge(header, payload, ed25519(generateKeyPairSync('ed25519').privateKey)), 'another key')
  refused(t, at, forge({ ...header, alg: 'Ed25519' }, payload, ed25519(pair.privateKey)), 'another name of the algorithm')
  for (const [what, forgery] of Object.entries(forgeries(header, payload, access))) refused(t, at, forgery, what)
})

t.test('J1 an access token is no refresh token, nor the other way round', async (t) => {
  const at = await issuer(t)
  const { access, refresh } = at.issue(session)
  t.throws(() => at.verify('refresh', access), { code: 'TOKEN_INVALID' })
  t.throws(() => at.verify('access', refresh), { code: 'TOKEN_INVALID' })
  const { header, payload } = opened(refresh)
  refused(t, at, forge({ ...header, typ: 'at+jwt' }, payload, hmac(secret)), 'a refresh token that calls itself an access token')
})

t.test('J2 a claim that is missing, of another type or of another deployment', async (t) => {
  const at = await issuer(t)
  const { header, payload } = opened(at.issue(session).access)
  const claiming = (claims: Fields) => forge(header, { ...payload, ...claims }, hmac(secret))
  t.equal(at.verify('access', claiming({})).sub, 'u1', 'our own hand makes valid ones')
  for (const claim of [
    'iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp', 'token_type', 'auth_time', 'amr', 'otp_required', 'otp_device_id', 'otp_time'
  ]) {
    refused(t, at, claiming({ [claim]: undefined }), `without ${claim}`)
    refused(t, at, claiming({ [claim]: { toString: 'x' } }), `${claim} as an object`)
    if (claim !== 'amr') refused(t, at, claiming({ [claim]: [payload[claim]] }), `${claim} in an array`)
  }
  for (const claims of [
    { iss: 'others' }, { iss: 'US' }, { iss: 'us ' }, { aud: 'others' }, { aud: ['them'] }, { aud: ['them', 'others'] },
    { nbf: NOW * 2 }
  ]) {
    refused(t, at, claiming(claims), JSON.stringify(claims))
  }
})

t.test('J3 by our clock: not after exp, not from more than 60 s ahead', async (t) => {
  let nowSeconds = NOW
  const at = await issuer(t, { nowSeconds: () => nowSeconds })
  const { access, refresh } = at.issue(session)
  for (const [seconds, isAccess, isRefresh] of [
    [-61, false, false], [-60, true, true], [299, true, true], [300, false, true], [86_399, false, true], [86_400, false, false]
  ] as const) {
    nowSeconds = NOW + seconds
    for (const [kind, token, accepted] of [['access', access, isAccess], ['refresh', refresh, isRefresh]] as const) {
      if (accepted) t.equal(at.verify(kind, token).sid, 's1', `${kind} at ${seconds}`)
      else t.throws(() => at.verify(kind, token), { code: 'TOKEN_INVALID' }, `${kind} at ${seconds}`)
    }
  }
})

t.test('J9 the first key signs, all verify, a removed one does not', async (t) => {
  const rings = {
    HS256: [randomBytes(32), randomBytes(64)],
    EdDSA: [1, 2].map(() => generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }))
  } as const
  for (const algorithm of ['HS256', 'EdDSA'] as const) {
    type Key = { kid: string, bytes: Buffer }
    const [older, newer] = rings[algorithm].map((bytes, i) => ({ kid: `k${i}`, bytes })) as [Key, Key]
    const [before, during, after] = await Promise.all([[older], [newer, older], [newer]].map((keys) => issuer(t, { algorithm, keys })))
    const old = before!.issue(session).access
    t.equal(during!.verify('access', old).sid, 's1', `${algorithm}: the old key still verifies`)
    const young = during!.issue(session).access
    t.equal(opened(young).header['kid'], 'k1', 'the first one signs')
    t.equal(after!.verify('access', young).sid, 's1')
    t.throws(() => after!.verify('access', old), { code: 'TOKEN_INVALID' }, 'removed')
    t.throws(() => before!.verify('access', young), { code: 'TOKEN_INVALID' }, 'not known yet')
  }
})

t.test('J9 others can verify with the JWKS alone, and it holds nothing private', async (t) => {
  const at = await issuer(t, { algorithm: 'EdDSA', keys: [{ kid: 'one', bytes: pkcs8 }] })
  const { access } = at.issue(session)
  const key = at.jwks.keys.find(({ kid }) => kid === opened(access).header['kid']) as JsonWebKey
  t.same(Object.keys(key).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x'])
  const dot = access.lastIndexOf('.')
  t.ok(verify(
    null, Buffer.from(access.slice(0, dot)), createPublicKey({ key, format: 'jwk' }), Buffer.from(access.slice(dot + 1), 'base64url')
  ))
  t.same((await issuer(t)).jwks, { keys: [] }, 'a shared key stays in the house')
})

t.test('J10 another spelling of the signature is the same token: same sid, same jti', async (t) => {
  const at = await issuer(t)
  const { access } = at.issue(session)
  t.not(respelled(access), access)
  const { sid, jti } = at.verify('access', access)
  t.match(at.verify('access', respelled(access)), { sid, jti })
})
