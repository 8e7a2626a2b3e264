import { createHmac, sign, type KeyObject } from 'node:crypto'

/** Makes a signature over what stands before the second dot. */
export type Signer = (input: string) => Buffer

export const hmac = (key: Buffer | string, hash = 'sha256'): Signer => (input) => createHmac(hash, key).update(input).digest()
export const ed25519 = (key: KeyObject): Signer => (input) => sign(null, Buffer.from(input), key)
export const unsigned: Signer = () => Buffer.alloc(0)

/** JSON in base64url; text is taken as it is, so that a test can send what no serializer would. */
export function encoded (value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

/** A token by hand, since libraries refuse to make most of what an attacker sends. */
export function forge (header: unknown, payload: unknown, signer: Signer): string {
  const input = `${encoded(header)}.${encoded(payload)}`
  return `${input}.${signer(input).toString('base64url')}`
}

export type Fields = Record<string, unknown>

/** What a token says, unchecked. */
export function opened (token: string): { header: Fields, payload: Fields, signature: string } {
  const [header = '', payload = '', signature = ''] = token.split('.')
  const json = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString()) as Fields
  return { header: json(header), payload: json(payload), signature }
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** The same bytes in another spelling: the last character of base64url has bits that nobody reads (32 bytes leave two, 64 leave four). */
export function respelled (token: string): string {
  const last = ALPHABET.indexOf(token.slice(-1))
  return token.slice(0, -1) + ALPHABET[last ^ 1]
}
