import { Type } from '@sinclair/typebox'
import { DateTime, Password, strict } from '../schemas.js'
import { DeviceName, RecoveryCodes } from './schemas.js'

/** The body has 16 KiB at most. */
const MOST_CHARACTERS = 12_000
/** An id has 1023 bytes at most (WebAuthn L3 §7.1 step 26). */
const ID_CHARACTERS = 1364

const Base64url = (maxLength = MOST_CHARACTERS, description?: string) =>
  Type.String({ pattern: '^[A-Za-z0-9_-]+$', maxLength, ...(description === undefined ? {} : { description }) })
const nullable = <T extends object>(schema: T) => Type.Unsafe<string | null>({ ...schema, type: ['string', 'null'] })
/** Browsers add members in later releases of WebAuthn: they are ignored. */
const open = { additionalProperties: true } as const

const credential = {
  id: Base64url(ID_CHARACTERS, 'Id of the credential.'),
  rawId: Base64url(ID_CHARACTERS),
  type: Type.Literal('public-key'),
  authenticatorAttachment: Type.Optional(nullable({ maxLength: 32 })),
  clientExtensionResults: Type.Optional(Type.Object({}, { ...open, description: 'Ignored.' }))
}

export const RegistrationResponse = Type.Object({
  ...credential,
  response: Type.Object({
    clientDataJSON: Base64url(),
    attestationObject: Base64url(),
    authenticatorData: Type.Optional(Base64url()),
    publicKey: Type.Optional(nullable({ maxLength: MOST_CHARACTERS })),
    publicKeyAlgorithm: Type.Optional(Type.Integer()),
    transports: Type.Optional(Type.Array(Type.String({ pattern: '^[a-z0-9-]{1,32}$' }), { maxItems: 16 }))
  }, open)
}, {
  ...open,
  title: 'RegistrationResponseJSON',
  description: '`credential.toJSON()` of `navigator.credentials.create` (WebAuthn L3 §5.1.8).'
})

export const AuthenticationResponse = Type.Object({
  ...credential,
  response: Type.Object({
    clientDataJSON: Base64url(),
    authenticatorData: Base64url(),
    signature: Base64url(),
    userHandle: Type.Optional(nullable({ pattern: '^[A-Za-z0-9_-]*$', maxLength: 88 }))
  }, open)
}, {
  ...open,
  title: 'AuthenticationResponseJSON',
  description: '`credential.toJSON()` of `navigator.credentials.get` (WebAuthn L3 §5.1.8).'
})

const UserVerification = Type.Unsafe<'preferred' | 'required'>({ type: 'string', enum: ['preferred', 'required'] })
const Descriptor = Type.Object({
  type: Type.Literal('public-key'), id: Type.String(), transports: Type.Optional(Type.Array(Type.String()))
}, { title: 'PublicKeyCredentialDescriptorJSON', description: 'A passkey (WebAuthn L3 §5.8.3).' })

export const CreationOptions = Type.Object({
  rp: Type.Object({ id: Type.String(), name: Type.String() }),
  user: Type.Object({ id: Type.String(), name: Type.String(), displayName: Type.String() }),
  challenge: Type.String(),
  pubKeyCredParams: Type.Array(Type.Object({ type: Type.Literal('public-key'), alg: Type.Integer() })),
  timeout: Type.Integer({ description: 'Milliseconds.' }),
  excludeCredentials: Type.Array(Descriptor),
  authenticatorSelection: Type.Object({
    residentKey: Type.Literal('discouraged'), requireResidentKey: Type.Literal(false), userVerification: UserVerification
  }),
  attestation: Type.Literal('none')
}, { title: 'PublicKeyCredentialCreationOptionsJSON', description: 'For `PublicKeyCredential.parseCreationOptionsFromJSON`.' })

export const RequestOptions = Type.Object({
  challenge: Type.String(),
  timeout: Type.Integer({ description: 'Milliseconds.' }),
  rpId: Type.String(),
  allowCredentials: Type.Array(Descriptor),
  userVerification: UserVerification
}, { title: 'PublicKeyCredentialRequestOptionsJSON', description: 'For `PublicKeyCredential.parseRequestOptionsFromJSON`.' })

/** Body of a set-up. A host without `checkPassword` takes no password. */
export const NewPasskey = ({ hasPassword }: { hasPassword: boolean }) => Type.Object({
  name: Type.Optional(DeviceName),
  ...(hasPassword ? { password: Type.Optional(Password) } : {})
}, { ...strict, title: 'NewPasskey', examples: [{ name: 'Laptop' }] })

const id = 'cGFzc2tleS1jcmVkZW50aWFsLWlk'
const challenge = '1nYQkmvJqRkOoz3c5yQm0mDxk5Q3Zf3yOGkqkFzq7aE'

export const PasskeySetUp = Type.Object({
  message: Type.String(),
  deviceId: Type.String({ format: 'uuid' }),
  options: CreationOptions,
  recoveryCodes: RecoveryCodes,
  expiresAt: DateTime
}, {
  title: 'PasskeySetUp',
  description: 'A passkey that waits for its registration.',
  examples: [{
    message: 'Create the passkey, then send it to /totp/passkeys/confirm.',
    deviceId: '0f8fad5b-d9cb-469f-a165-70867728950e',
    options: {
      rp: { id: 'app.example.org', name: 'Countersign' },
      user: { id: challenge, name: 'ada', displayName: 'ada' },
      challenge,
      pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
      timeout: 300000,
      excludeCredentials: [],
      authenticatorSelection: { residentKey: 'discouraged', requireResidentKey: false, userVerification: 'preferred' },
      attestation: 'none'
    },
    recoveryCodes: ['7G3K-9QWE-RTY2-4HJM-PZXC-VB8N', '…'],
    expiresAt: '2026-11-23T09:10:00.000Z'
  }]
})

export const PasskeyChallenge = Type.Object({ options: RequestOptions, expiresAt: DateTime }, {
  title: 'PasskeyChallenge',
  description: 'A challenge for a passkey, used once.',
  examples: [{
    options: {
      challenge, timeout: 300000, rpId: 'app.example.org', allowCredentials: [{ type: 'public-key', id }], userVerification: 'preferred'
    },
    expiresAt: '2026-11-23T09:05:00.000Z'
  }]
})

const clientDataJSON = 'eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0'

export const PasskeyRegistration = Type.Object({ response: RegistrationResponse }, {
  ...strict,
  title: 'PasskeyRegistration',
  examples: [{ response: { id, rawId: id, type: 'public-key', response: { clientDataJSON, attestationObject: 'o2NmbXRkbm9uZQ' } } }]
})

export const PasskeyAssertion = Type.Object({ response: AuthenticationResponse }, {
  ...strict,
  title: 'PasskeyAssertion',
  examples: [{
    response: { id, rawId: id, type: 'public-key', response: { clientDataJSON, authenticatorData: 'SZYN5Q', signature: 'MEUCIQ' } }
  }]
})
