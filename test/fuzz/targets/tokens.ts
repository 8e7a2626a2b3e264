import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import Fastify from 'fastify'
import fc from 'fast-check'
import tokens from '../../../plugins/tokens.js'
import { isRefusal } from '../../../src/core/refusals.js'
import { kidOf, openToken } from '../../../src/client/token.js'
import { encoded, hmac } from '../../helpers/jws.js'
import { rule, textOf, type Input, type Target } from '../target.js'

const [ISSUER, AUDIENCE, KID, NOW_SECONDS] = ['https://countersign.example', 'app', 'one', 1_800_000_000]
const der = generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' })
const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
const publicKey = createPublicKey(key)
const other = generateKeyPairSync('ed25519').privateKey
const app = Fastify()
await app.register(tokens, {
  algorithm: 'EdDSA',
  keys: [{ kid: KID, bytes: der }],
  settings: { issuer: ISSUER, audience: AUDIENCE, accessSeconds: 900, refreshSeconds: 86_400 },
  nowSeconds: () => NOW_SECONDS
})
await app.ready()

/** What an attacker signs with: ours only where a token was stolen or changed. */
const signers: Record<string, (text: string) => Buffer> = {
  ours: (text) => sign(null, Buffer.from(text), key),
  other: (text) => sign(null, Buffer.from(text), other),
  publicKey: hmac(publicKey.export({ format: 'pem', type: 'spki' }) as string),
  none: () => Buffer.alloc(0)
}
const header = (typ: string) => JSON.stringify({ alg: 'EdDSA', typ, kid: KID })
const claims = (more: object) => JSON.stringify({
  iss: ISSUER,
  aud: AUDIENCE,
  sub: 'ada',
  sid: 's1',
  jti: 'j1',
  iat: NOW_SECONDS,
  exp: NOW_SECONDS + 900,
  auth_time: NOW_SECONDS,
  amr: ['pwd'],
  otp_required: false,
  otp_device_id: null,
  otp_time: null,
  ...more
})
const words = [
  '"alg":"none"', '"alg":"HS256"', '"alg":"EdDSA"', '"typ":"at+jwt"', '"typ":"rt+jwt"', '"kid":"one"', '"kid":"two"', '"crit":["exp"]',
  '"jwk":{}', '"b64":false', '"token_type":"access"', '"token_type":"refresh"', '"gen":1', '"exp":1', '"iat":9e9', '"aud":["app"]',
  '"sid":""',
  '"__proto__":{}', '{', '}', '[', ']', ',', ':', 'null', 'true', '.', '..', 'eyJ', '=', '-', '_', '1e3', '"'
]

/** Access and refresh tokens, read by the service and by `countersign/client`. The judge is `node:crypto` over the exact text. */
export const target: Target = {
  files: ['plugins/tokens.js', 'src/client/token.js', 'src/core/claims.js'],
  words,
  arbitrary: fc.record({
    header: fc.oneof(
      fc.constantFrom(header('at+jwt'), header('rt+jwt'), '{"alg":"none"}'), fc.string({ unit: fc.constantFrom(...words), maxLength: 6 })
    ),
    payload: fc.oneof(
      fc.constantFrom(...[{ token_type: 'access' }, { token_type: 'refresh', gen: 1 }, { token_type: 'access', phr_time: 1 }].map(claims)),
      fc.string({ unit: fc.constantFrom(...words), maxLength: 6 })
    ),
    signer: fc.constantFrom(...Object.keys(signers)),
    after: fc.oneof(fc.constant(''), fc.string({ unit: fc.constantFrom(...words), maxLength: 2 }))
  }),
  check (input) {
    const signing = Object.hasOwn(signers, textOf(input, 'signer')) ? signers[textOf(input, 'signer')]! : signers['none']!
    const signed = `${encoded(textOf(input, 'header'))}.${encoded(textOf(input, 'payload'))}`
    const token = `${signed}.${signing(signed).toString('base64url')}${textOf(input, 'after')}`
    const access = answered(() => app.tokens.verify('access', token))
    const refresh = answered(() => app.tokens.verify('refresh', token))
    const late = answered(() => app.tokens.readRefresh(token))
    const client = answered(() => {
      rule(kidOf(token) === KID, 'another key')
      return openToken(token, publicKey, { issuer: ISSUER, audience: AUDIENCE })
    })
    rule(!access || judge(token, 'access', true), 'the service accepts an access token that the judge refuses')
    rule(!refresh || judge(token, 'refresh', true), 'the service accepts a refresh token that the judge refuses')
    rule(!late || judge(token, 'refresh', false), 'the service rotates a refresh token that the judge refuses')
    rule(!client || judge(token, 'access', false), 'the client accepts an access token that the judge refuses')
    rule(!access || client, 'the client refuses an access token that the service accepts')
    rule(access || !isOurs(input, 'access'), 'the service refuses an access token of its own')
    rule(refresh || !isOurs(input, 'refresh'), 'the service refuses a refresh token of its own')
  },
  close: () => app.close()
}

/** Runs a reader. @returns false for a refusal; any other exception is a fault */
function answered (read: () => unknown): boolean {
  try {
    read()
    return true
  } catch (error) {
    if (isRefusal(error) && error.code === 'TOKEN_INVALID') return false
    if (error instanceof Error && error.message === 'another key') return false
    throw error
  }
}

const isOurs = (input: Input, kind: 'access' | 'refresh'): boolean => textOf(input, 'signer') === 'ours' && textOf(input, 'after') === '' &&
  textOf(input, 'header') === header(kind === 'access' ? 'at+jwt' : 'rt+jwt') &&
  textOf(input, 'payload') === claims(kind === 'access' ? { token_type: kind } : { token_type: kind, gen: 1 })

/** Judges by RFC 7515, RFC 8725 and the claims of docs/protocol.md, without a library. */
function judge (token: string, kind: 'access' | 'refresh', isNow: boolean): boolean {
  const parts = token.split('.')
  if (parts.length !== 3 || !parts.every((part) => /^[A-Za-z0-9_-]+$/.test(part))) return false
  const [head, payload] = parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>)
  const typ = kind === 'access' ? 'at+jwt' : 'rt+jwt'
  const names = Object.keys(head!).sort().join()
  if (names !== 'alg,kid,typ' || head!['alg'] !== 'EdDSA' || head!['typ'] !== typ || head!['kid'] !== KID) return false
  if (!verify(null, Buffer.from(`${parts[0]}.${parts[1]}`), publicKey, Buffer.from(parts[2]!, 'base64url'))) return false
  const { iss, aud, sub, sid, jti, iat, exp, token_type: type, gen, otp_required: owes } = payload!
  const isText = [sub, sid, jti].every((claim) => typeof claim === 'string' && claim !== '')
  const isTime = typeof iat === 'number' && typeof exp === 'number'
  return iss === ISSUER && aud === AUDIENCE && isText && isTime && type === kind && typeof owes === 'boolean' &&
    (kind === 'access' || Number.isSafeInteger(gen)) && (!isNow || (NOW_SECONDS < exp && iat <= NOW_SECONDS + 60))
}
