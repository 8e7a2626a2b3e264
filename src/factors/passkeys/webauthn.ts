import { createRequire } from 'node:module'
import {
  passkeyAlgorithms, type AuthenticationResponseJSON, type PasskeyAlgorithm, type RegistrationResponseJSON, type RelyingParty
} from '../../core/passkeys/webauthn.js'
import { LONGEST_KEY, requireUsableKey } from './public-key.js'

/** Passkey that an authenticator registered, with everything to store of it. */
export interface RegisteredPasskey {
  credentialId: Buffer
  /** COSE_Key, as bytes. */
  publicKey: Buffer
  algorithm: PasskeyAlgorithm
  signCount: number
  transports: string[]
  /** Model of the authenticator, for display alone: without an attestation anyone can state any. */
  aaguid: string
  backupEligible: boolean
  backedUp: boolean
}

/** Stored passkey that an assertion is compared with. */
export interface JudgedPasskey {
  credentialId: Buffer
  publicKey: Buffer
  backupEligible: boolean
}

/** Facts of a right assertion. The caller compares `signCount` with the stored one and stores both, in the statement that decides. */
export interface Assertion {
  signCount: number
  backedUp: boolean
}

/** Longest credential id (WebAuthn L3 §7.1 step 26). */
const LONGEST_ID = 1023

/** Loaded on demand: it takes a quarter of a second, and a host without passkeys does not have it. */
const library = () => import('@simplewebauthn/server')

/** Looks for the library without loading it. @throws {Error} if it is not installed */
export function requireLibrary (): void {
  try {
    createRequire(import.meta.url).resolve('@simplewebauthn/server')
  } catch (error) {
    throw new Error('countersign: "passkeys" needs a package: npm install @simplewebauthn/server', { cause: error })
  }
}

/**
 * Verifies the answer to creation options (WebAuthn L3 §7.1).
 *
 * The caller consumed the challenge before, and stores the passkey only if nobody has registered its id.
 *
 * @param challenge the bytes of the challenge
 * @returns null for any fault: hostile input is wrong, not an exception
 */
export async function verifyRegistration (
  party: RelyingParty, challenge: Buffer, response: RegistrationResponseJSON
): Promise<RegisteredPasskey | null> {
  const { verifyRegistrationResponse } = await library()
  const { decodeAttestationObject, decodeCredentialPublicKey } = await import('@simplewebauthn/server/helpers')
  try {
    requireSameOrigin(response.response.clientDataJSON)
    const attestation = decodeAttestationObject(bytes(response.response.attestationObject))
    // Options ask for no attestation, so a client sends none, or the authenticator's self attestation. Others are refused before
    // they are read: to verify one, the library fetches the addresses in its certificates.
    const isSelfAttested = attestation.get('fmt') === 'packed' && attestation.get('attStmt').get('x5c') === undefined
    if (attestation.get('fmt') !== 'none' && !isSelfAttested) return null
    const { verified, registrationInfo } = await verifyRegistrationResponse({
      response: response as never,
      expectedChallenge: challenge.toString('base64url'),
      expectedOrigin: [...party.origins],
      expectedRPID: party.rpId,
      expectedType: 'webauthn.create',
      requireUserPresence: true,
      requireUserVerification: party.userVerification === 'required',
      supportedAlgorithmIDs: [...passkeyAlgorithms]
    })
    if (!verified) return null
    const { credential, aaguid, credentialDeviceType, credentialBackedUp } = registrationInfo
    const [credentialId, publicKey] = [bytes(credential.id), Buffer.from(credential.publicKey)]
    if (credential.id !== response.id || credentialId.length === 0 || credentialId.length > LONGEST_ID) return null
    if (publicKey.length > LONGEST_KEY) return null
    return {
      credentialId,
      publicKey,
      algorithm: requireUsableKey(decodeCredentialPublicKey(new Uint8Array(publicKey)) as unknown as Map<number, unknown>),
      signCount: credential.counter,
      transports: response.response.transports ?? [],
      aaguid,
      backupEligible: credentialDeviceType === 'multiDevice',
      backedUp: credentialBackedUp
    }
  } catch {
    return null
  }
}

/**
 * Verifies the answer to request options (WebAuthn L3 §7.2), but for the counter.
 *
 * @param challenge the bytes of the challenge, which the caller consumed before
 * @param passkey the user's passkey of that id; null if there is none: the answer takes as long
 * @param userHandle the handle of that user
 * @returns null for any fault
 */
export async function verifyAssertion (
  party: RelyingParty,
  challenge: Buffer,
  { passkey, userHandle }: { passkey: JudgedPasskey | null, userHandle: Buffer },
  response: AuthenticationResponseJSON
): Promise<Assertion | null> {
  const { verifyAuthenticationResponse } = await library()
  const judged = passkey ?? decoy(response.id)
  try {
    requireSameOrigin(response.response.clientDataJSON)
    requireHandle(response.response.userHandle, userHandle)
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response: response as never,
      expectedChallenge: challenge.toString('base64url'),
      expectedOrigin: [...party.origins],
      expectedRPID: party.rpId,
      expectedType: 'webauthn.get',
      requireUserVerification: party.userVerification === 'required',
      // The counter is 0 here, which passes always: the statement that stores the new one compares them.
      credential: { id: judged.credentialId.toString('base64url'), publicKey: new Uint8Array(judged.publicKey), counter: 0 }
    })
    const { credentialID, credentialDeviceType, credentialBackedUp, newCounter } = authenticationInfo
    const isSame = credentialID === response.id && judged.backupEligible === (credentialDeviceType === 'multiDevice')
    return verified && isSame && passkey !== null ? { signCount: newCounter, backedUp: credentialBackedUp } : null
  } catch {
    return null
  }
}

/** Key with which an answer for an unknown passkey is compared, as COSE_Key: the base point of P-256. */
const DECOY_KEY = Buffer.from('a5010203262001' +
  '2158206b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296' +
  '2258204fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5', 'hex')

function decoy (id: string): JudgedPasskey {
  return { credentialId: bytes(id), publicKey: DECOY_KEY, backupEligible: false }
}

/** Refuses a ceremony inside a frame of another origin. The library judges that at authentication alone, and not fully. */
function requireSameOrigin (clientDataJSON: string): void {
  const { crossOrigin, topOrigin } = JSON.parse(bytes(clientDataJSON).toString()) as { crossOrigin?: unknown, topOrigin?: unknown }
  if ((crossOrigin ?? false) !== false || (topOrigin ?? null) !== null) throw new Error('The ceremony ran inside a page of another origin')
}

/** An authenticator may leave the handle out; if it is there, it is that of the user (WebAuthn L3 §7.2 step 6). */
function requireHandle (given: string | null | undefined, userHandle: Buffer): void {
  if (given === null || given === undefined) return
  if (!bytes(given).equals(userHandle)) throw new Error('The passkey is that of another user')
}

function bytes (text: string): Buffer<ArrayBuffer> {
  return Buffer.from(text, 'base64url')
}
