import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import { Ajv } from 'ajv'
import fc from 'fast-check'
import { AuthenticationResponse, RegistrationResponse } from '../../../routes/totp/passkey-schemas.js'
import type { AuthenticationResponseJSON, RegistrationResponseJSON, RelyingParty } from '../../../src/core/passkeys/webauthn.js'
import { verifyAssertion, verifyRegistration } from '../../../src/factors/passkeys/webauthn.js'
import { encodeCbor, type Cbor } from '../../../src/testing/cbor.js'
import { readAuthenticatorData, readCbor, type ReadAuthenticatorData } from '../judges.js'
import { rule, textOf, type Input, type Target } from '../target.js'

const CHALLENGE = Buffer.alloc(32, 5)
const [ORIGIN, RP_ID] = ['https://app.example.org', 'example.org']
const HANDLE = Buffer.alloc(32, 6)
const ID = Buffer.alloc(16, 9)
const party = (userVerification: RelyingParty['userVerification']): RelyingParty =>
  ({ rpId: RP_ID, rpName: 'Test', origins: [ORIGIN], userVerification })

/** One key for all runs, so that the corpus goes on to reach the same code. It opens nothing. */
const privateKey = createPrivateKey({
  format: 'jwk',
  key: {
    kty: 'EC',
    crv: 'P-256',
    d: 'AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE',
    x: 'b_A7lJJBzh2t1DUZ5pYOCoW0GmmgXDKBA6orzhWUyhY',
    y: 'PE91OlW_AdxT9sCwx-7ni0DG_30lqW4igrmJzvccFEo'
  }
})
const publicKey = createPublicKey(privateKey)
const { x, y } = publicKey.export({ format: 'jwk' })
const bytesOf = (text: string | undefined) => Buffer.from(text ?? '', 'base64url')
const cose = encodeCbor(new Map<number, Cbor>([[1, 2], [3, -7], [-1, 1], [-2, bytesOf(x)], [-3, bytesOf(y)]]))

/** Keys of the other two algorithms, which sign nothing. */
const otherKeys = [
  new Map<number, Cbor>([[1, 1], [3, -8], [-1, 6], [-2, bytesOf(x)]]),
  new Map<number, Cbor>([[1, 3], [3, -257], [-1, Buffer.alloc(256, 0xc5)], [-2, Buffer.of(1, 0, 1)]])
].map(encodeCbor)

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest()
const hex = (bytes: Buffer) => bytes.toString('hex')
const attestedBy = (key: Buffer) => Buffer.concat([Buffer.alloc(16), Buffer.of(0, ID.length), ID, key])
const attested = attestedBy(cose)
const authData = (flags: number, more = Buffer.alloc(0)) => Buffer.concat([sha256(RP_ID), Buffer.of(flags, 0, 0, 0, 1), more])
const attestation = (fmt: string, statement: Map<string, Cbor>, data: Buffer) =>
  hex(encodeCbor(new Map<string, Cbor>([['fmt', fmt], ['attStmt', statement], ['authData', data]])))
const clientData = (type: string, more = '') =>
  `{"type":"webauthn.${type}","challenge":"${CHALLENGE.toString('base64url')}","origin":"${ORIGIN}"${more}}`
const created = [0x41, 0x45, 0x5d, 0x40, 0xc5].map((flags) => attestation('none', new Map(), authData(flags, attested)))

const words = [
  ',"crossOrigin":true', ',"crossOrigin":null', ',"topOrigin":"x"', ',"tokenBinding":{"status":"present"}', '"webauthn.get"',
  '"webauthn.create"',
  ORIGIN, 'https://evil.example', CHALLENGE.toString('base64url'), '{', '}', '[', ']', '"', '\\u0000', hex(sha256(RP_ID)), hex(cose),
  hex(attested),
  'a0', 'a1', 'a3', 'a5', 'bf', 'ff', '00', '01', '20', '26', '3901 00', '40', '58', '5820', '5b7fffffffffffffff', '5f', '60', '80',
  '9a7fffffff',
  'bb0000000100000000', 'c0', 'd8', 'f6', 'f97e00', 'fb', '63666d74', '646e6f6e65', '667061636b6564', '63783563', '6761747453746d74',
  '6861757468446174 61', '0102', '0326', '2001', hex(ID), HANDLE.toString('base64url')
]

/**
 * Answers of authenticators, as the routes let them through, to the verification by @simplewebauthn/server behind our own checks. The
 * judges are a reader of CBOR of some lines and `node:crypto`.
 */
export const target: Target = {
  files: ['src/factors/passkeys/webauthn.js', 'src/factors/passkeys/public-key.js'],
  words,
  arbitrary: fc.oneof(
    fc.record({
      client: fc.constantFrom(clientData('create'), clientData('create', ',"crossOrigin":false'), clientData('get')),
      attestation: fc.constantFrom(
        ...created, attestation('packed', new Map([['alg', -7]]), authData(0x41, attested)),
        ...otherKeys.map((key) => attestation('none', new Map(), authData(0x41, attestedBy(key))))
      ),
      statement: fc.constantFrom('given', 'self'),
      id: fc.constant(hex(ID)),
      verification: fc.constantFrom('preferred', 'required')
    }),
    fc.record({
      client: fc.constantFrom(clientData('get'), clientData('get', ',"crossOrigin":true'), clientData('create')),
      data: fc.constantFrom(...[0x01, 0x05, 0x1d, 0x00, 0x81].map((flags) => hex(authData(flags)))),
      signature: fc.constantFrom('', '00'),
      handle: fc.constantFrom('', HANDLE.toString('base64url'), 'AA'),
      id: fc.constant(hex(ID)),
      verification: fc.constantFrom('preferred', 'required')
    })
  ),
  async check (input) {
    if (textOf(input, 'attestation') !== '') await checkRegistration(input)
    else await checkAssertion(input)
  }
}

const ajv = new Ajv({ strict: false })
const isRegistration = ajv.compile<RegistrationResponseJSON>(RegistrationResponse)
const isAssertion = ajv.compile<AuthenticationResponseJSON>(AuthenticationResponse)
const fromHex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')
const partyOf = (input: Input) => party(textOf(input, 'verification') === 'required' ? 'required' : 'preferred')

async function checkRegistration (input: Input): Promise<void> {
  const client = Buffer.from(textOf(input, 'client'))
  const given = fromHex(textOf(input, 'attestation'))
  const id = fromHex(textOf(input, 'id')).toString('base64url')
  const response: unknown = {
    id,
    rawId: id,
    type: 'public-key',
    response: {
      clientDataJSON: client.toString('base64url'), attestationObject: signedAttestation(input, given, client).toString('base64url')
    }
  }
  if (!isRegistration(response)) return
  const registered = await verifyRegistration(partyOf(input), CHALLENGE, response)
  if (registered === null) {
    rule(!created.slice(0, 3).includes(textOf(input, 'attestation')) || textOf(input, 'client') !== clientData('create') ||
      id !== ID.toString('base64url') || partyOf(input).userVerification === 'required', 'a right registration is refused')
    return
  }
  checkClient(client, 'webauthn.create')
  const { value } = readCbor(bytesOf(response.response.attestationObject))
  rule(value instanceof Map && Buffer.isBuffer(value.get('authData')), 'an attestation object without authenticator data is accepted')
  const authenticatorData = (value as Map<string, Buffer>).get('authData')!
  checkData({ rpIdHash: authenticatorData.subarray(0, 32), flags: authenticatorData.readUInt8(32) }, partyOf(input))
  const data = wholeOrNull(authenticatorData)
  if (data === null) return
  rule(data.credential !== null && data.credential.id.equals(registered.credentialId) && registered.credentialId.equals(bytesOf(id)),
    'a registration is accepted for the id of another passkey')
  rule(data.credential!.key.equals(registered.publicKey) && data.credential!.cose.get(3) === registered.algorithm,
    'a registration stores another key than that of the authenticator')
  rule(data.counter === registered.signCount && ((data.flags & 0x08) > 0) === registered.backupEligible &&
    ((data.flags & 0x10) > 0) === registered.backedUp, 'a registration stores other facts than those of the authenticator')
}

/**
 * Returns null if the key was cut. The library then takes what is there, and stores it as a whole key: it is the sender's, and opens
 * nothing of others.
 */
function wholeOrNull (bytes: Buffer): ReadAuthenticatorData | null {
  try {
    return readAuthenticatorData(bytes)
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

/** Returns the attestation as given, or with the signature of the passkey in its statement. */
function signedAttestation (input: Input, given: Buffer, client: Buffer): Buffer {
  if (textOf(input, 'statement') !== 'self') return given
  try {
    const { value } = readCbor(given)
    const data = value instanceof Map ? value.get('authData') : null
    if (!Buffer.isBuffer(data)) return given
    const signature = sign('sha256', Buffer.concat([data, sha256(client)]), privateKey)
    return fromHex(attestation('packed', new Map<string, Cbor>([['alg', -7], ['sig', signature]]), data))
  } catch {
    return given
  }
}

async function checkAssertion (input: Input): Promise<void> {
  const client = Buffer.from(textOf(input, 'client'))
  const data = fromHex(textOf(input, 'data'))
  const signed = Buffer.concat([data, sha256(client)])
  const signature = textOf(input, 'signature') === '' ? sign('sha256', signed, privateKey) : fromHex(textOf(input, 'signature'))
  const [id, handle] = [fromHex(textOf(input, 'id')).toString('base64url'), textOf(input, 'handle')]
  const response: unknown = {
    id,
    rawId: id,
    type: 'public-key',
    response: {
      clientDataJSON: client.toString('base64url'),
      authenticatorData: data.toString('base64url'),
      signature: signature.toString('base64url'),
      ...(handle === '' ? {} : { userHandle: handle })
    }
  }
  if (!isAssertion(response)) return
  const stored = { passkey: { credentialId: ID, publicKey: cose, backupEligible: false }, userHandle: HANDLE }
  const accepted = await verifyAssertion(partyOf(input), CHALLENGE, stored, response)
  const ofNone = await verifyAssertion(partyOf(input), CHALLENGE, { ...stored, passkey: null }, response)
  rule(ofNone === null, 'an unknown passkey is accepted')
  if (accepted === null) {
    const isChanged = textOf(input, 'client') !== clientData('get') || textOf(input, 'data') !== hex(authData(0x01)) ||
      id !== ID.toString('base64url') || textOf(input, 'signature') !== '' || handle !== ''
    rule(isChanged || partyOf(input).userVerification === 'required', 'a right assertion is refused')
    return
  }
  checkClient(client, 'webauthn.get')
  const read = readAuthenticatorData(data)
  checkData(read, partyOf(input))
  rule(verify('sha256', signed, publicKey, signature), 'an assertion with a wrong signature is accepted')
  rule(bytesOf(id).equals(ID) && (handle === '' || bytesOf(handle).equals(HANDLE)), 'an assertion of another passkey or user is accepted')
  rule((read.flags & 0x08) === 0 && accepted.signCount === read.counter, 'an assertion is accepted with other facts than its own')
}

function checkClient (client: Buffer, type: string): void {
  const data = JSON.parse(client.toString()) as Record<string, unknown>
  rule(data['type'] === type && data['origin'] === ORIGIN, 'an answer of another ceremony or page is accepted')
  rule(data['challenge'] === CHALLENGE.toString('base64url'), 'an answer to another challenge is accepted')
  rule((data['crossOrigin'] ?? false) === false && (data['topOrigin'] ?? null) === null, 'an answer from inside another page is accepted')
}

function checkData ({ rpIdHash, flags }: { rpIdHash: Buffer, flags: number }, { userVerification }: RelyingParty): void {
  rule(rpIdHash.equals(sha256(RP_ID)), 'an answer for another relying party is accepted')
  rule((flags & 0x01) > 0, 'an answer without the presence of a user is accepted')
  rule(userVerification !== 'required' || (flags & 0x04) > 0, 'an answer without the verification of a user is accepted')
  rule((flags & 0x18) !== 0x10, 'a passkey that is backed up without being eligible is accepted')
}
