import { createPrivateKey, createPublicKey, type JsonWebKey } from 'node:crypto'
import fastifyJwt from '@fastify/jwt'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { AgingMap } from '../src/core/aging-map.js'
import {
  claimsOf, isClaims, isIssued, isTimely, tokenTypes, type AccessClaims, type Claims, type RefreshClaims, type TokenKind, type TokenSettings
} from '../src/core/claims.js'
import { createRecurrence } from '../src/core/recurrence.js'
import { Refusal, type OtpMethod } from '../src/core/refusals.js'
import type { AnsweredSession, SessionFacts } from '../src/core/session.js'
import type { Key } from '../src/core/keys/key-ring.js'

export interface TokensOptions {
  algorithm: 'HS256' | 'EdDSA'
  /** All keys verify. */
  keys: readonly Key[]
  /** Returns the place of the key that signs now. @default the first one */
  signing?: () => number
  settings: TokenSettings
  /** Returns PostgreSQL's time in Unix seconds. */
  nowSeconds: () => number
}

export interface TokenPair { access: string, refresh: string }

/** Answer that brings the tokens of a session. */
export interface TokenAnswer extends TokenPair {
  /** Seconds from the issue of the access token to its expiry: the same in each copy of an answer. */
  expiresIn: number
  /** True if the session opens only its verification. */
  otpRequired: boolean
  otpMethods: readonly OtpMethod[]
  /** When a session that is not verified yet ends; else null. */
  otpExpiresAt: Date | null
}

export interface Tokens {
  /** Returns the tokens of a session's current generation. A second call returns the same ones. */
  issue (session: SessionFacts): TokenPair
  /** Returns the same in the form in which every operation answers them. */
  answer (session: AnsweredSession): TokenAnswer
  /**
   * Verifies a token.
   *
   * @throws {Refusal} TOKEN_INVALID for any fault
   */
  verify<Kind extends TokenKind> (kind: Kind, token: string): Claims<Kind>
  /**
   * Reads a refresh token for rotation, the only operation that accepts an expired one: its session may be idle for longer
   * if the answer to its rotation was lost.
   *
   * @throws {Refusal} TOKEN_INVALID
   */
  readRefresh (token: string): { claims: RefreshClaims, isExpired: boolean }
  /** RFC 7517. Empty under HS256: that key must stay secret. */
  jwks: { keys: JsonWebKey[] }
}

declare module 'fastify' {
  interface FastifyInstance {
    tokens: Tokens
  }
}

/** Cache of access tokens with a right signature, about 1.4 KB each. */
const MOST_VERIFIED = 8_000
const REMEMBER_VERIFIED_MS = 60_000
/** Tokens among which one counts as recurring. */
const RECURRING_AMONG = 2 ** 14

const REQUIRED_CLAIMS = ['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp']

/** Signer and verifier of @fastify/jwt, for one key and one kind of token. */
interface Jwt { sign (payload: object): string, verify (token: string): unknown }

/**
 * Access and refresh tokens of the service, with @fastify/jwt. A verifier accepts one kind, one algorithm and one key, and
 * is selected by the exact text of the header. Only headers that this service writes match, so `none`, another algorithm,
 * an unknown `kid`, a `crit` or a key in the header are refused before they are read (RFC 8725).
 */
async function tokens (app: FastifyInstance, { algorithm, keys, signing = () => 0, settings, nowSeconds }: TokensOptions): Promise<void> {
  const signers: Record<TokenKind, Jwt[]> = { access: [], refresh: [] }
  const verifiers = { access: new Map<string, Jwt>(), refresh: new Map<string, Jwt>() }

  for (const { kid, bytes } of keys) {
    for (const kind of ['access', 'refresh'] as const) {
      const namespace = `${kind}_${kid}`
      await app.register(fastifyJwt, {
        namespace,
        secret: algorithm === 'HS256' ? bytes : pemPair(bytes),
        sign: { algorithm, kid, header: { typ: tokenTypes[kind] } },
        verify: {
          algorithms: [algorithm],
          allowedIss: settings.issuer,
          allowedAud: settings.audience,
          requiredClaims: REQUIRED_CLAIMS,
          ignoreExpiration: true, // isTimely checks the expiry, by PostgreSQL's clock
          cache: false
        }
      } as Parameters<typeof fastifyJwt>[1])
      const jwt = (app.jwt as unknown as Record<string, Jwt>)[namespace]!
      signers[kind].push(jwt)
      verifiers[kind].set(headerOf(jwt.sign({})), jwt)
    }
  }

  const verified = new AgingMap<string, AccessClaims>({
    keepMs: REMEMBER_VERIFIED_MS, capacity: MOST_VERIFIED, clockMs: () => performance.now()
  })
  const cameBefore = createRecurrence(RECURRING_AMONG)

  /** The cache has only a constant fact: this service signed the claims. The session and the expiry are checked each time. */
  function signed<Kind extends TokenKind> (kind: Kind, token: string): Claims<Kind> {
    const known = kind === 'access' ? verified.get(token) : undefined
    if (known !== undefined) return known as Claims<Kind>
    const claims = read(verifiers[kind].get(headerOf(token)), token)
    if (!isClaims(kind, claims)) throw new Refusal('TOKEN_INVALID')
    // Many tokens come once a minute at most. To store these costs more memory and garbage collection than to verify them again.
    if (kind === 'access' && cameBefore(token)) verified.set(token, claims as AccessClaims)
    return claims
  }

  const sign = (kind: TokenKind, session: SessionFacts) => signers[kind][signing()]!.sign(claimsOf(kind, session, settings))

  function answer (session: AnsweredSession): TokenAnswer {
    const access = claimsOf('access', session, settings)
    const otpRequired = session.otpRequired && session.otpDeviceId === null
    return {
      access: signers.access[signing()]!.sign(access),
      refresh: sign('refresh', session),
      expiresIn: access.exp - access.iat,
      otpRequired,
      otpMethods: session.otpMethods,
      otpExpiresAt: otpRequired ? new Date(session.expiresAt * 1000) : null
    }
  }

  app.decorate('tokens', {
    issue: (session) => ({ access: sign('access', session), refresh: sign('refresh', session) }),
    answer,
    verify (kind, token) {
      const claims = signed(kind, token)
      if (!isTimely(claims, nowSeconds())) throw new Refusal('TOKEN_INVALID')
      return claims
    },
    readRefresh (token) {
      const claims = signed('refresh', token)
      if (!isIssued(claims, nowSeconds())) throw new Refusal('TOKEN_INVALID')
      return { claims, isExpired: !isTimely(claims, nowSeconds()) }
    },
    jwks: { keys: algorithm === 'EdDSA' ? keys.map(publicJwk) : [] }
  } satisfies Tokens)
}

function read (jwt: Jwt | undefined, token: string): unknown {
  try {
    return jwt?.verify(token)
  } catch (error) {
    throw new Refusal('TOKEN_INVALID', {}, { cause: error })
  }
}

function headerOf (token: string): string {
  return token.slice(0, token.indexOf('.'))
}

function pemPair (der: Buffer): { private: string, public: string } {
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  return {
    private: key.export({ format: 'pem', type: 'pkcs8' }) as string,
    public: createPublicKey(key).export({ format: 'pem', type: 'spki' }) as string
  }
}

function publicJwk ({ kid, bytes }: Key): JsonWebKey {
  const jwk = createPublicKey(createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' })).export({ format: 'jwk' })
  return { ...jwk, kid, alg: 'EdDSA', use: 'sig' }
}

const BEARER = /^Bearer +([A-Za-z0-9._-]+)$/i

/** Reads the bearer token (RFC 6750 §2): one token, in one Authorization header, and in no other place. */
export function bearerToken (request: FastifyRequest): string {
  if ((request.query as Record<string, unknown> | undefined)?.['access_token'] !== undefined) {
    throw new Refusal('REQUEST_INVALID', { hint: { key: 'tokenInQuery' } })
  }
  const header = request.headers.authorization
  if (header === undefined) throw new Refusal('TOKEN_INVALID')
  // Node keeps the first of two headers, but a proxy in front may have used the second.
  if (countHeader(request.raw.rawHeaders, 'authorization') > 1) {
    throw new Refusal('REQUEST_INVALID', { hint: { key: 'manyAuthorizations' } })
  }
  const token = BEARER.exec(header)?.[1]
  if (token === undefined) throw new Refusal('TOKEN_INVALID')
  return token
}

function countHeader (rawHeaders: readonly string[], name: string): number {
  let count = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const header = rawHeaders[i]!
    if (header.length === name.length && header.toLowerCase() === name) count++
  }
  return count
}

export default fp(tokens, { name: 'tokens', fastify: '5.x' })
