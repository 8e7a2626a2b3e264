import { createPublicKey } from 'node:crypto'
import type { PasskeyAlgorithm } from '../../core/passkeys/webauthn.js'

/** Longest COSE key that is stored: that of an RSA key of 4096 bits has some 530 bytes. */
export const LONGEST_KEY = 1024

/** NIST SP 800-131A: an RSA key of at least 2048 bits. FIPS 186-5 §5.1: an exponent over 2^16. Authenticators make no others. */
const LEAST_RSA_BITS = 2048
const LEAST_RSA_EXPONENT = 2n ** 16n

/**
 * Requires that a public key is one of its algorithm (WebAuthn L3 §5.8.5: ES256 has a point of P-256, EdDSA one of Ed25519).
 * The library only looks at the number of the algorithm, so a key that can verify nothing would be found at the first log-in.
 *
 * @param cose key in the form of RFC 9052, with integers as labels
 * @throws {Error} if it is not
 */
export function requireUsableKey (cose: ReadonlyMap<number, unknown>): PasskeyAlgorithm {
  const text = (label: number) => {
    const value = cose.get(label)
    if (!(value instanceof Uint8Array)) throw new TypeError('A parameter of the key is not bytes')
    return Buffer.from(value).toString('base64url')
  }
  const requireLabels = (kty: number, crv?: number) => {
    if (cose.get(1) !== kty || (crv !== undefined && cose.get(-1) !== crv)) throw new TypeError('The key is not one of its algorithm')
  }
  const algorithm = cose.get(3)
  switch (algorithm) {
    case -7:
      requireLabels(2, 1)
      createPublicKey({ format: 'jwk', key: { kty: 'EC', crv: 'P-256', x: text(-2), y: text(-3) } })
      return algorithm
    case -8:
      requireLabels(1, 6)
      createPublicKey({ format: 'jwk', key: { kty: 'OKP', crv: 'Ed25519', x: text(-2) } })
      return algorithm
    case -257: {
      requireLabels(3)
      const key = createPublicKey({ format: 'jwk', key: { kty: 'RSA', n: text(-1), e: text(-2) } })
      const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
      if (modulusLength < LEAST_RSA_BITS || publicExponent < LEAST_RSA_EXPONENT) throw new TypeError('The RSA key is too weak')
      return algorithm
    }
    default: throw new TypeError('No such algorithm')
  }
}
