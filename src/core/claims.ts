import type { SessionFacts } from './session.js'
import { createHash } from 'node:crypto'

/** RFC 9068 for access tokens; `rt+jwt` is ours. A verifier takes exactly one of them. */
export const tokenTypes = { access: 'at+jwt', refresh: 'rt+jwt' } as const
export type TokenKind = keyof typeof tokenTypes

interface CommonClaims {
  iss: string
  aud: string
  sub: string
  sid: string
  jti: string
  /** Unix seconds, by Postgres' clock. */
  iat: number
  exp: number
  auth_time: number
  amr: string[]
  /** Whether the user has a second factor, or must set one up before anything else: with it true and `otp_device_id` null, refuse. */
  otp_required: boolean
  otp_device_id: string | null
  otp_time: number | null
}
export interface AccessClaims extends CommonClaims { token_type: 'access' }
export interface RefreshClaims extends CommonClaims {
  token_type: 'refresh'
  /** Refresh generation: compared and set in Postgres. */
  gen: number
}
export type Claims<Kind extends TokenKind> = Kind extends 'access' ? AccessClaims : RefreshClaims

export interface TokenSettings { issuer: string, audience: string, accessSeconds: number, refreshSeconds: number }

/** How far ahead of our clock a token may have been issued. */
const AHEAD_SECONDS = 60

/**
 * The claims of a session's current token of one kind. They follow from the session alone, so that asking twice for
 * the same generation gives the same token, and nothing of a token is stored. No token outlives its session.
 */
export function claimsOf<Kind extends TokenKind> (kind: Kind, session: SessionFacts, settings: TokenSettings): Claims<Kind> {
  const lifetimeSeconds = kind === 'access' ? settings.accessSeconds : settings.refreshSeconds
  const { issuedAt, accessIssuedAt = issuedAt } = session
  const iat = kind === 'access' ? accessIssuedAt : issuedAt
  const identity = [session.sessionId, session.generation, kind, session.otpTime, ...(iat === issuedAt ? [] : [iat])].join('.')
  return {
    iss: settings.issuer,
    aud: settings.audience,
    sub: session.userId,
    sid: session.sessionId,
    jti: createHash('sha256').update(identity).digest('base64url').slice(0, 22),
    iat,
    exp: Math.min(iat + lifetimeSeconds, session.expiresAt),
    token_type: kind,
    auth_time: session.authTime,
    amr: session.amr,
    otp_required: session.otpRequired || owesSetUp(session, iat),
    otp_device_id: session.otpDeviceId,
    otp_time: session.otpTime,
    ...(kind === 'refresh' ? { gen: session.generation } : {})
  } as Claims<Kind>
}

/** Whether a session opens nothing but the set-up. Who verifies tokens by themselves knows of no deadline. */
function owesSetUp ({ otpDeviceId, otpDeadline }: SessionFacts, iat: number): boolean {
  return otpDeviceId === null && otpDeadline !== null && iat >= otpDeadline
}

/** Whether a verified payload is what we issue under that name: each claim there, each of its type. */
export function isClaims<Kind extends TokenKind> (kind: Kind, payload: unknown): payload is Claims<Kind> {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return false
  const claims = payload as Record<string, unknown>
  return claims['token_type'] === kind &&
    ['iss', 'aud', 'sub', 'sid', 'jti'].every((name) => typeof claims[name] === 'string' && claims[name] !== '') &&
    ['iat', 'exp', 'auth_time'].every((name) => Number.isSafeInteger(claims[name])) &&
    Array.isArray(claims['amr']) && typeof claims['otp_required'] === 'boolean' &&
    (claims['otp_device_id'] === null || typeof claims['otp_device_id'] === 'string') &&
    (claims['otp_time'] === null || Number.isSafeInteger(claims['otp_time'])) &&
    (kind === 'access' || Number.isSafeInteger(claims['gen']))
}

/** Whether a token is of this moment. Checked by us, since it goes by Postgres' clock, and libraries let `iat` be in the future. */
export function isTimely ({ iat, exp }: Pick<CommonClaims, 'iat' | 'exp'>, nowSeconds: number): boolean {
  return nowSeconds < exp && isIssued({ iat }, nowSeconds)
}

/** Whether a token was issued before this moment, as far as our clock knows. */
export function isIssued ({ iat }: Pick<CommonClaims, 'iat'>, nowSeconds: number): boolean {
  return iat <= nowSeconds + AHEAD_SECONDS
}
