/*
 * JSON forms of WebAuthn Level 3 §5.1.8 to §5.1.10, with the members that are read or written here. Binary values are
 * base64url without padding.
 */

/** COSE algorithms in order of preference: ES256, EdDSA (Ed25519), RS256. Stated on both calls of a ceremony. */
export const passkeyAlgorithms = [-7, -8, -257] as const
export type PasskeyAlgorithm = typeof passkeyAlgorithms[number]

/** `preferred` accepts a passkey that only tests presence; `required` also asks for its PIN or biometric check. */
export type UserVerification = 'preferred' | 'required'

/** Relying party: the service, or the host of the plugin. */
export interface RelyingParty {
  /** Domain to which passkeys are bound: the host of each origin, or a registrable suffix of it. */
  rpId: string
  /** Name of the service that authenticators show. */
  rpName: string
  /** Exact origins of the pages, as browsers write them, and `android:apk-key-hash:…` for native apps. */
  origins: readonly string[]
  userVerification: UserVerification
}

export interface PublicKeyCredentialDescriptorJSON {
  type: 'public-key'
  id: string
  /** As the authenticator reported them at registration: sent back unchanged. */
  transports?: string[]
}

export interface PublicKeyCredentialCreationOptionsJSON {
  rp: { id: string, name: string }
  user: { id: string, name: string, displayName: string }
  challenge: string
  pubKeyCredParams: Array<{ type: 'public-key', alg: number }>
  /** Milliseconds. */
  timeout: number
  excludeCredentials: PublicKeyCredentialDescriptorJSON[]
  authenticatorSelection: { residentKey: 'discouraged', requireResidentKey: false, userVerification: UserVerification }
  attestation: 'none'
}

export interface PublicKeyCredentialRequestOptionsJSON {
  challenge: string
  /** Milliseconds. */
  timeout: number
  rpId: string
  allowCredentials: PublicKeyCredentialDescriptorJSON[]
  userVerification: UserVerification
}

interface CredentialJSON {
  id: string
  rawId: string
  type: 'public-key'
  authenticatorAttachment?: string | null
  clientExtensionResults?: object
}

export interface RegistrationResponseJSON extends CredentialJSON {
  response: {
    clientDataJSON: string
    attestationObject: string
    authenticatorData?: string
    publicKey?: string | null
    publicKeyAlgorithm?: number
    transports?: string[]
  }
}

export interface AuthenticationResponseJSON extends CredentialJSON {
  response: {
    clientDataJSON: string
    authenticatorData: string
    signature: string
    userHandle?: string | null
  }
}
