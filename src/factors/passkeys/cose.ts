import type { PasskeyAlgorithm } from '../../core/passkeys/webauthn.js'
import { requireUsableKey } from './public-key.js'

/**
 * Returns the algorithm of a COSE_Key; null if it is none that is accepted here. The package that decodes it is optional for hosts, and
 * is loaded only where passkeys come.
 */
export async function algorithmOf (publicKey: Buffer): Promise<PasskeyAlgorithm | null> {
  const { decodeCredentialPublicKey } = await import('@simplewebauthn/server/helpers')
  try {
    return requireUsableKey(decodeCredentialPublicKey(new Uint8Array(publicKey)) as unknown as ReadonlyMap<number, unknown>)
  } catch {
    return null
  }
}
