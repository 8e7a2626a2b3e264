import { createHash } from 'node:crypto'
import { PHISHING_RESISTANT } from './assurance.js'
import type { SessionFacts } from './session.js'

/** JWT types: `at+jwt` of RFC 9068, and `rt+jwt` of our own. A verifier accepts exactly one of them. */
export const tokenTypes = { access: 'at+jwt', refresh: 'rt+jwt' } as const
export type TokenKind = keyof typeof tokenTypes

interface CommonClaims {
  /** JWT_ISSUER. */
  iss: string
  /** JWT_AUDIENCE. */
  aud: string
  /** Id of the user. */
  sub: string
  /** Id of the session. */
  sid: string
  /** Id of the token. */
  jti: string
  /** Unix seconds, by PostgreSQL's clock. */
  iat: number
  /** Unix seconds: end of the token. */
  exp: number
  /** Unix seconds of the password. */
  auth_time: number
  /** Methods of the proof (RFC 8176). */
  amr: string[]
  /** True if the user has a second factor, or must set one up first. Refuse a token with true here and null in `otp_device_id`. */
  otp_required: boolean
  /** Device that verified the session, `recovery` for a recovery code, null if none did. */
  otp_device_id: string | null
  /** Unix seconds of the last accepted code or passkey; null if there was none. */
  otp_time: number | null
  /** Authentication context, if the session is phishing-resistant; else absent. */
  acr?: typeof PHISHING_RESISTANT
  /** Unix seconds when a passkey was last used; absent where `acr` is. */
  phr_time?: number
}
/** Claims of an access token. */
export interface AccessClaims extends CommonClaims {
  /** Tells it from a refresh token. */
  token_type: 'access'
}
export interface RefreshClaims extends CommonClaims {
  token_type: 'refresh'
  /** Refresh generation: compared and set in PostgreSQL. */
  gen: number
}
export type Claims<Kind extends TokenKind> = Kind extends 'access' ? AccessClaims : RefreshClaims

export interface TokenSettings { issuer: string, audience: string, accessSeconds: number, refreshSeconds: number }

/** Seconds by which `iat` may be ahead of our clock. */
const AHEAD_SECONDS = 60

/**
 * Returns the claims of a session's current token of one kind. They follow from the session alone: two calls for the same
 * generation give the same token, and no token is stored. No token outlives its session.
 */
export function claimsOf<Kind extends TokenKind> (kind: Kind, session: SessionFacts, settings: TokenSettings): Claims<Kind> {
  const lifetimeSeconds = kind === 'access' ? settings.accessSeconds : settings.refreshSeconds
  const { issuedAt, accessIssuedAt = issuedAt, phrTime = null } = session
  const iat = kind === 'access' ? accessIssuedAt : issuedAt
  const proven = phrTime === null ? [session.otpTime] : [session.otpTime, `phr${phrTime}`]
  const identity = [session.sessionId, session.generation, kind, ...proven, ...(iat === issuedAt ? [] : [iat])].join('.')
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
    ...(phrTime === null ? {} : { acr: PHISHING_RESISTANT, phr_time: phrTime }),
    ...(kind === 'refresh' ? { gen: session.generation } : {})
  } as Claims<Kind>
}

/** True if a session may only set up a factor. Tokens say so because services that verify them offline do not know the deadline. */
function owesSetUp ({ otpDeviceId, otpDeadline }: SessionFacts, iat: number): boolean {
  return otpDeviceId === null && otpDeadline !== null && iat >= otpDeadline
}

/** True if a verified payload has every claim of that kind, each of the right type. */
export function isClaims<Kind extends TokenKind> (kind: Kind, payload: unknown): payload is Claims<Kind> {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) return false
  const claims = payload as Record<string, unknown>
  return claims['token_type'] === kind &&
    ['iss', 'aud', 'sub', 'sid', 'jti'].every((name) => typeof claims[name] === 'string' && claims[name] !== '') &&
    ['iat', 'exp', 'auth_time'].every((name) => Number.isSafeInteger(claims[name])) &&
    Array.isArray(claims['amr']) && typeof claims['otp_required'] === 'boolean' &&
    (claims['otp_device_id'] === null || typeof claims['otp_device_id'] === 'string') &&
    (claims['otp_time'] === null || Number.isSafeInteger(claims['otp_time'])) &&
    (claims['phr_time'] === undefined || Number.isSafeInteger(claims['phr_time'])) &&
    (kind === 'access' || Number.isSafeInteger(claims['gen']))
}

/** True if a token is issued and not expired. Checked here because PostgreSQL's clock counts, and libraries accept a future `iat`. */
export function isTimely ({ iat, exp }: Pick<CommonClaims, 'iat' | 'exp'>, nowSeconds: number): boolean {
  return nowSeconds < exp && isIssued({ iat }, nowSeconds)
}

/** True if a token was issued before this moment, with `AHEAD_SECONDS` of tolerance. */
export function isIssued ({ iat }: Pick<CommonClaims, 'iat'>, nowSeconds: number): boolean {
  return iat <= nowSeconds + AHEAD_SECONDS
}

/** First 16 bytes of the SHA-256 of an id, in base64url (22 characters): the form in which ids go out to other services. */
export function idDigest (id: string): string {
  return createHash('sha256').update(id).digest().toString('base64url', 0, 16)
}
