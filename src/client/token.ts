import { verify, type KeyObject } from 'node:crypto'
import { idDigest, isClaims, tokenTypes, type AccessClaims } from '../core/claims.js'
import { Refusal } from '../core/refusals.js'

/** Token with a right signature. */
export interface Opened {
  claims: Readonly<AccessClaims>
  /** Digests of its session and its user, as `/revocations` names them. */
  session: string
  user: string
}

export interface Wanted { issuer: string, audience: string }

const TOKEN = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})$/

/**
 * Reads the `kid` of a token whose header is one that the service writes, and no other: `none`, another algorithm, a `crit` or a key
 * in the header are refused (RFC 8725).
 *
 * @throws {Refusal} TOKEN_INVALID
 */
export function kidOf (token: string): string {
  const [, header] = TOKEN.exec(token) ?? []
  const { alg, typ, kid, ...rest } = (header === undefined ? {} : parse(header)) as Record<string, unknown>
  if (alg !== 'EdDSA' || typ !== tokenTypes.access || typeof kid !== 'string' || Object.keys(rest).length > 0) throw invalid()
  return kid
}

/**
 * Checks signature and claims. Times, ends and demands are checked for each request.
 *
 * @throws {Refusal} TOKEN_INVALID
 */
export function openToken (token: string, key: KeyObject, { issuer, audience }: Wanted): Opened {
  const end = token.lastIndexOf('.')
  if (!verify(null, Buffer.from(token.slice(0, end)), key, Buffer.from(token.slice(end + 1), 'base64url'))) throw invalid()
  const opened = readToken(token)
  if (opened.claims.iss !== issuer || opened.claims.aud !== audience) throw invalid()
  return opened
}

/** Reads a token that the service has verified. @throws {Refusal} TOKEN_INVALID */
export function readToken (token: string): Opened {
  const claims = parse(token.split('.', 2)[1] ?? '')
  if (!isClaims('access', claims)) throw invalid()
  // The same object answers later requests with the same token.
  Object.freeze(claims.amr)
  return { claims: Object.freeze(claims), session: idDigest(claims.sid), user: idDigest(claims.sub) }
}

function parse (part: string): unknown {
  try {
    return JSON.parse(Buffer.from(part, 'base64url').toString()) ?? {}
  } catch (error) {
    throw new Refusal('TOKEN_INVALID', {}, { cause: error })
  }
}

const invalid = () => new Refusal('TOKEN_INVALID')
