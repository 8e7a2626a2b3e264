import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import type {
  AuthenticationResponseJSON, PublicKeyCredentialCreationOptionsJSON, PublicKeyCredentialRequestOptionsJSON, RegistrationResponseJSON
} from '../core/passkeys/webauthn.js'
import { encodeCbor, type Cbor } from './cbor.js'

/** Kind of passkey. */
export interface SoftPasskeyOptions {
  /** Origin of the page that uses it, such as `https://app.example.org`. */
  origin: string
  /** Algorithm of its key. @default 'ES256' */
  algorithm?: 'ES256' | 'EdDSA' | 'RS256'
  /**
   * True for a passkey that is copied between devices: its backup flags are set, and its counter stays 0.
   *
   * @default false
   */
  synced?: boolean
  /**
   * True if it checks a PIN or a fingerprint, and reports that.
   *
   * @default true
   */
  verifiesUser?: boolean
  /** Ways to reach it, as it states them. @default ['internal'] */
  transports?: string[]
  /**
   * True for the authenticator's self attestation (`packed`, signed by the passkey itself).
   *
   * @default false
   */
  selfAttested?: boolean
}

/** Members of one answer that a test can falsify. The signature covers them. */
export interface Falsified {
  /** `type` of the client data. */
  type?: string
  /** `challenge` of the client data, base64url. */
  challenge?: string
  /** `origin` of the client data. */
  origin?: string
  /** `crossOrigin` of the client data. */
  crossOrigin?: boolean
  /** `topOrigin` of the client data. */
  topOrigin?: string
  /** RP ID whose digest the authenticator signs. */
  rpId?: string
  /** Flag UP. */
  userPresent?: boolean
  /** Flag UV. */
  userVerified?: boolean
  /** Flag BE. */
  backupEligible?: boolean
  /** Flag BS. */
  backedUp?: boolean
  /** Number of signatures. */
  counter?: number
  /** COSE algorithm that the public key claims. */
  algorithm?: number
  /** Extension outputs of the authenticator, by name. */
  extensions?: Readonly<Record<string, number>>
  /** base64url; null leaves it out. */
  userHandle?: string | null
}

/** Passkey without a device or a browser: one credential, with the parts of client and authenticator that WebAuthn describes. */
export interface SoftPasskey {
  /** Id of the credential, base64url. */
  readonly id: string
  /** Public key in DER (SPKI). */
  readonly publicKey: Buffer
  /** Number of signatures so far. A test can set it back, as a copied authenticator would have it. */
  counter: number
  /**
   * Answers the options of `…/passkeys/create`.
   *
   * @throws {DOMException} InvalidStateError if the user has this passkey already
   */
  register (options: PublicKeyCredentialCreationOptionsJSON, falsified?: Falsified): RegistrationResponseJSON
  /**
   * Answers the options of `…/passkeys/challenge`.
   *
   * @throws {DOMException} NotAllowedError if the options do not allow this passkey
   */
  authenticate (options: PublicKeyCredentialRequestOptionsJSON, falsified?: Falsified): AuthenticationResponseJSON
}

/** Flags of authenticator data (WebAuthn §6.1). */
const UP = 0x01
const UV = 0x04
const BE = 0x08
const BS = 0x10
const AT = 0x40
const ED = 0x80

const EXTENSIONS = {}

/**
 * Makes a passkey for tests.
 *
 * @example
 * const passkey = softPasskey({ origin: 'https://app.example.org' })
 * const { options } = (await post('/totp/passkeys/create')).json()
 * await post('/totp/passkeys/confirm', { response: passkey.register(options) })
 */
export function softPasskey (options: SoftPasskeyOptions): SoftPasskey {
  const { origin, algorithm = 'ES256', synced = false, verifiesUser = true, transports = ['internal'], selfAttested = false } = options
  const { publicKey, privateKey, cose } = newKey(algorithm)
  const id = randomBytes(32)
  const spki = publicKey.export({ format: 'der', type: 'spki' })
  let userHandle: string | null = null

  function authenticatorData (rpId: string, falsified: Falsified, attested: Buffer): Buffer {
    passkey.counter += synced ? 0 : 1
    const flag = (bit: number, isSet: boolean) => isSet ? bit : 0
    const flags = flag(UP, falsified.userPresent ?? true) | flag(UV, falsified.userVerified ?? verifiesUser) |
      flag(BE, falsified.backupEligible ?? synced) | flag(BS, falsified.backedUp ?? synced) | flag(AT, attested.length > 0) |
      flag(ED, falsified.extensions !== undefined)
    const outputs = falsified.extensions === undefined ? Buffer.alloc(0) : encodeCbor(new Map(Object.entries(falsified.extensions)))
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(falsified.counter ?? passkey.counter)
    return Buffer.concat([sha256(falsified.rpId ?? rpId), Buffer.of(flags), counter, attested, outputs])
  }

  function clientData (type: string, challenge: string, falsified: Falsified): Buffer {
    return Buffer.from(JSON.stringify({
      type: falsified.type ?? type,
      challenge: falsified.challenge ?? challenge,
      origin: falsified.origin ?? origin,
      crossOrigin: falsified.crossOrigin ?? false,
      ...(falsified.topOrigin === undefined ? {} : { topOrigin: falsified.topOrigin })
    }))
  }

  const signed = (authData: Buffer, client: Buffer) =>
    sign(algorithm === 'EdDSA' ? null : 'sha256', Buffer.concat([authData, sha256(client)]), privateKey)

  const credential = { id: text(id), rawId: text(id), type: 'public-key', clientExtensionResults: EXTENSIONS } as const
  const passkey: SoftPasskey = {
    id: text(id),
    publicKey: spki,
    counter: 0,
    register (options, falsified = {}) {
      if (options.excludeCredentials.some((known) => known.id === passkey.id)) throw new DOMException('Registered', 'InvalidStateError')
      userHandle = options.user.id
      const claimed = new Map(cose).set(3, falsified.algorithm ?? cose.get(3)!)
      const length = Buffer.of(id.length >> 8, id.length & 0xff)
      const attested = Buffer.concat([Buffer.alloc(16), length, id, encodeCbor(claimed)])
      const authData = authenticatorData(options.rp.id, falsified, attested)
      const client = clientData('webauthn.create', options.challenge, falsified)
      const statement = selfAttested ? new Map<string, Cbor>([['alg', cose.get(3)!], ['sig', signed(authData, client)]]) : new Map()
      const attestation = new Map<string, Cbor>(
        [['fmt', selfAttested ? 'packed' : 'none'], ['attStmt', statement], ['authData', authData]]
      )
      return {
        ...credential,
        authenticatorAttachment: 'platform',
        response: {
          clientDataJSON: text(client),
          attestationObject: text(encodeCbor(attestation)),
          authenticatorData: text(authData),
          publicKey: text(spki),
          publicKeyAlgorithm: Number(cose.get(3)),
          transports
        }
      }
    },
    authenticate (options, falsified = {}) {
      const isAllowed = options.allowCredentials.some((known) => known.id === passkey.id)
      if (!isAllowed) throw new DOMException('No passkey of these is here', 'NotAllowedError')
      const authData = authenticatorData(options.rpId, falsified, Buffer.alloc(0))
      const client = clientData('webauthn.get', options.challenge, falsified)
      const handle = falsified.userHandle === undefined ? userHandle : falsified.userHandle
      return {
        ...credential,
        authenticatorAttachment: 'platform',
        response: {
          clientDataJSON: text(client),
          authenticatorData: text(authData),
          signature: text(signed(authData, client)),
          ...(handle === null ? {} : { userHandle: handle })
        }
      }
    }
  }
  return passkey
}

interface NewKey { publicKey: KeyObject, privateKey: KeyObject, cose: Map<number, Cbor> }

/** Makes a key pair, with its public key as COSE has it (RFC 9052, RFC 8230). */
function newKey (algorithm: 'ES256' | 'EdDSA' | 'RS256'): NewKey {
  const bytes = (value: string | undefined) => Buffer.from(value!, 'base64url')
  if (algorithm === 'ES256') {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { x, y } = pair.publicKey.export({ format: 'jwk' })
    return { ...pair, cose: new Map<number, Cbor>([[1, 2], [3, -7], [-1, 1], [-2, bytes(x)], [-3, bytes(y)]]) }
  }
  if (algorithm === 'EdDSA') {
    const pair = generateKeyPairSync('ed25519')
    const { x } = pair.publicKey.export({ format: 'jwk' })
    return { ...pair, cose: new Map<number, Cbor>([[1, 1], [3, -8], [-1, 6], [-2, bytes(x)]]) }
  }
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const { n, e } = pair.publicKey.export({ format: 'jwk' })
  return { ...pair, cose: new Map<number, Cbor>([[1, 3], [3, -257], [-1, bytes(n)], [-2, bytes(e)]]) }
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest()
const text = (bytes: Buffer) => bytes.toString('base64url')
