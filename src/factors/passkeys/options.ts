import {
  passkeyAlgorithms, type PublicKeyCredentialCreationOptionsJSON, type PublicKeyCredentialDescriptorJSON,
  type PublicKeyCredentialRequestOptionsJSON, type RelyingParty
} from '../../core/passkeys/webauthn.js'

/** Passkey as the options of a ceremony name it. */
export interface KnownPasskey {
  credentialId: Buffer
  transports: readonly string[]
}

export interface RegistrationCeremony {
  challenge: Buffer
  challengeSeconds: number
  /** 32 random bytes. */
  userHandle: Buffer
  /** Account name that the authenticator shows. */
  label: string
  /** The user's own passkeys: their authenticators refuse to register once more. */
  known: readonly KnownPasskey[]
}

/** Returns the argument of `PublicKeyCredential.parseCreationOptionsFromJSON`. */
export function creationOptions (
  { rpId, rpName, userVerification }: RelyingParty,
  { challenge, challengeSeconds, userHandle, label, known }: RegistrationCeremony
): PublicKeyCredentialCreationOptionsJSON {
  return {
    rp: { id: rpId, name: rpName },
    user: { id: userHandle.toString('base64url'), name: label, displayName: label },
    challenge: challenge.toString('base64url'),
    pubKeyCredParams: passkeyAlgorithms.map((alg) => ({ type: 'public-key', alg })),
    timeout: challengeSeconds * 1000,
    excludeCredentials: known.map(descriptor),
    // A second factor needs no passkey that lists its accounts. Security keys have room for few of those.
    authenticatorSelection: { residentKey: 'discouraged', requireResidentKey: false, userVerification },
    attestation: 'none'
  }
}

/** Returns the argument of `PublicKeyCredential.parseRequestOptionsFromJSON`. */
export function requestOptions (
  { rpId, userVerification }: RelyingParty,
  { challenge, challengeSeconds, known }: { challenge: Buffer, challengeSeconds: number, known: readonly KnownPasskey[] }
): PublicKeyCredentialRequestOptionsJSON {
  return {
    challenge: challenge.toString('base64url'),
    timeout: challengeSeconds * 1000,
    rpId,
    allowCredentials: known.map(descriptor),
    userVerification
  }
}

/** Browsers look for a passkey by its transports, and find none if they are changed. An unknown list is left out. */
function descriptor ({ credentialId, transports }: KnownPasskey): PublicKeyCredentialDescriptorJSON {
  return {
    type: 'public-key',
    id: credentialId.toString('base64url'),
    ...(transports.length === 0 ? {} : { transports: [...transports] })
  }
}
