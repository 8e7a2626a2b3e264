import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { Key, KeyKind } from './key-ring.js'

/** Returns a key from the CSPRNG: 256 bits, or an Ed25519 private key as PKCS8 DER, under a random kid of 8 characters. */
export function newKey (kind: KeyKind): Key {
  const kid = randomBytes(6).toString('base64url')
  if (kind !== 'EdDSA') return { kid, bytes: randomBytes(32) }
  return { kid, bytes: generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }) }
}
