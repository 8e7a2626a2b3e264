import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'

/** Secrets of a better-auth deployment: of each version, and the one of values without a version. */
export interface BetterAuthSecrets { plain: string | null, versions: ReadonlyMap<number, string> }

/** Reads BETTER_AUTH_SECRETS: `2:secret,1:secret`. Returns undefined if it is malformed. */
export function parseSecrets (text: string): Map<number, string> | undefined {
  const found = new Map<number, string>()
  for (const entry of text.split(',')) {
    const [, version, secret] = /^\s*(\d{1,9}):(.+?)\s*$/.exec(entry) ?? []
    if (version === undefined || secret === undefined) return undefined
    found.set(Number(version), secret)
  }
  return found
}

const ENVELOPE = /^\$ba\$(\d{1,9})\$([0-9a-f]+)$/i
const [NONCE_BYTES, TAG_BYTES] = [24, 16]

/**
 * Decrypts a stored value: XChaCha20-Poly1305 under the SHA-256 of the secret; nonce, text and tag in hexadecimal, after a prefix with
 * the version of the secret where there are several.
 *
 * @returns null if it cannot be decrypted
 */
export function decrypt ({ plain, versions }: BetterAuthSecrets, value: string): string | null {
  const [, version, envelope] = ENVELOPE.exec(value) ?? []
  const secret = version === undefined ? plain : versions.get(Number(version))
  const hex = envelope ?? value
  if (secret === null || secret === undefined || !/^([0-9a-f]{2})+$/i.test(hex)) return null
  const bytes = Buffer.from(hex, 'hex')
  if (bytes.length < NONCE_BYTES + TAG_BYTES) return null
  const nonce = bytes.subarray(0, NONCE_BYTES)
  const key = hChaCha20(createHash('sha256').update(secret).digest(), nonce.subarray(0, 16))
  const decipher = createDecipheriv('chacha20-poly1305', key, Buffer.concat([Buffer.alloc(4), nonce.subarray(16)]), {
    authTagLength: TAG_BYTES
  }).setAuthTag(bytes.subarray(-TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]).toString()
  } catch {
    return null
  }
}

const CONSTANTS = Buffer.from('expand 32-byte k')

/**
 * HChaCha20 (draft-irtf-cfrg-xchacha §2.2), which OpenSSL lacks: the words of a ChaCha20 block that are no key, without the final
 * addition of the state. A block of zeros, encrypted by ChaCha20, is that block.
 */
function hChaCha20 (key: Buffer, nonce: Buffer): Buffer {
  const block = createCipheriv('chacha20', key, nonce).update(Buffer.alloc(64))
  const words = (at: number, added: Buffer) => {
    const out = Buffer.alloc(16)
    for (let i = 0; i < 16; i += 4) out.writeUInt32LE((block.readUInt32LE(at + i) - added.readUInt32LE(i)) >>> 0, i)
    return out
  }
  return Buffer.concat([words(0, CONSTANTS), words(48, nonce)])
}
