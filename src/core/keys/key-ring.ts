import { createPrivateKey } from 'node:crypto'
import type { Key } from './seal.js'

export type { Key }

/** Purpose of a ring. `seal` keys encrypt at rest; the other two are the JWT algorithms. */
export type KeyKind = 'HS256' | 'EdDSA' | 'seal'

/** 256 bits: the least that RFC 7518 §3.2 allows for HS256, and the size of an AES-256 key. */
const KEY_BYTES = 32

/** Fewest different byte values of a key. A random key of 32 bytes has about 30; fewer than 8 means typed text or a filler. */
const DISTINCT_BYTES = 8

const ENTRY = /^([A-Za-z0-9_-]{1,32}):([A-Za-z0-9_-]+)$/

/** Reads `kid:base64url,kid:base64url`. Returns undefined if any entry is malformed; does not judge the quality of the keys. */
export function parseRing (text: string): Key[] | undefined {
  const keys = text.split(',').map(parseKey)
  return keys.every((key) => key !== undefined) ? keys : undefined
}

function parseKey (entry: string): Key | undefined {
  const [, kid, encoded] = ENTRY.exec(entry.trim()) ?? []
  if (kid === undefined || encoded === undefined) return undefined
  const bytes = Buffer.from(encoded, 'base64url')
  // One spelling for each key: Node's decoder ignores stray trailing bits.
  return bytes.toString('base64url') === encoded ? { kid, bytes } : undefined
}

/** Formats a key as `parseRing` reads it. */
export function formatKey ({ kid, bytes }: Key): string {
  return `${kid}:${bytes.toString('base64url')}`
}

/** Returns the fault of a ring as the end of "… must …", without any key material; undefined if there is none. */
export function ringFault (ring: readonly Key[], kind: KeyKind): string | undefined {
  if (new Set(ring.map((key) => key.kid)).size < ring.length) return 'give each kid once'
  const secrets = ring.map((key) => secretOf(key, kind))
  if (!secrets.every((secret) => secret !== undefined)) return 'hold Ed25519 private keys in PKCS8 DER, since JWT_ALG is EdDSA'
  if (secrets.some((secret) => secret.length < KEY_BYTES)) return `hold keys of at least ${KEY_BYTES} bytes`
  if (secrets.some((secret) => new Set(secret).size < DISTINCT_BYTES)) return 'hold random keys, not constant or default ones'
  if (new Set(secrets.map((secret) => secret.toString('hex'))).size < ring.length) return 'hold each key once'
  return undefined
}

/** True if one secret is in both rings: a leak through one use would break the other too. */
export function ringsOverlap (jwtKeys: readonly Key[], alg: Exclude<KeyKind, 'seal'>, sealKeys: readonly Key[]): boolean {
  const taken = jwtKeys.flatMap((key) => [key.bytes, secretOf(key, alg)])
  return sealKeys.some((key) => taken.some((bytes) => bytes?.equals(key.bytes)))
}

/** Returns the secret itself: an Ed25519 key has several PKCS8 encodings, and their constant header would hide a constant seed. */
function secretOf ({ bytes }: Key, kind: KeyKind): Buffer | undefined {
  if (kind !== 'EdDSA') return bytes
  try {
    const key = createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' })
    if (key.asymmetricKeyType !== 'ed25519') return undefined
    return Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url')
  } catch {
    return undefined
  }
}
