import { createHmac, sign, type KeyObject } from 'node:crypto'

/** Signs the text before the second dot. */
export type Signer = (input: string) => Buffer

export const hmac = (key: Buffer | string, hash = 'sha256'): Signer => (input) => createHmac(hash, key).update(input).digest()
export const ed25519 = (key: KeyObject): Signer => (input) => sign(null, Buffer.from(input), key)
export const unsigned: Signer = () => Buffer.alloc(0)

/** Encodes JSON in base64url; text is not changed, so that a test can send input that no serializer produces. */
export function encoded (value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

/** Creates a token without a library, because libraries refuse most tokens of an attacker. */
export function forge (header: unknown, payload: unknown, signer: Signer): string {
  const input = `${encoded(header)}.${encoded(payload)}`
  return `${input}.${signer(input).toString('base64url')}`
}

export type Fields = Record<string, unknown>

/** Decodes a token without a check. */
export function opened (token: string): { header: Fields, payload: Fields, signature: string } {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const json = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString()) as Fields
  return { header: json(header), payload: json(payload), signature }
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Encodes the same bytes differently: the last character of base64url has unused bits (two for 32 bytes, four for 64). */
export function respelled (token: string): string {
  const last = ALPHABET.indexOf(token.slice(-1))
  return token.slice(0, -1) + ALPHABET[last ^ 1]
}
