import { randomBytes } from 'node:crypto'
import t from 'tap'
import { creationOptions, requestOptions } from '../../../src/factors/passkeys/options.js'
import { verifyAssertion, verifyRegistration } from '../../../src/factors/passkeys/webauthn.js'
import { encodeCbor, type Cbor } from '../../../src/testing/cbor.js'
import { softPasskey } from '../../../src/testing/soft-passkey.js'

const origin = 'https://app.example.org'
const party = { rpId: 'example.org', rpName: 'Example', origins: [origin], userVerification: 'preferred' as const }
const userHandle = randomBytes(32)
const challenge = randomBytes(32)
const soft = softPasskey({ origin })
const created = soft.register(creationOptions(party, { challenge, challengeSeconds: 300, userHandle, label: 'ada', known: [] }))
const passkey = await verifyRegistration(party, challenge, created)
const asserted = soft.authenticate(requestOptions(party, { challenge, challengeSeconds: 300, known: [passkey!] }))

const registration = (attestationObject: Uint8Array) => verifyRegistration(party, challenge, {
  ...created, response: { ...created.response, attestationObject: Buffer.from(attestationObject).toString('base64url') }
})
const authentication = (authenticatorData: Uint8Array) => verifyAssertion(party, challenge, { passkey, userHandle }, {
  ...asserted, response: { ...asserted.response, authenticatorData: Buffer.from(authenticatorData).toString('base64url') }
})
const attested = Buffer.from(created.response.attestationObject, 'base64url')
const authData = Buffer.from(created.response.authenticatorData!, 'base64url')

t.test('cut off at any byte, or with more at its end, it is refused', async (t) => {
  for (let length = 0; length < attested.length; length++) {
    t.equal(await registration(attested.subarray(0, length)), null, `${length} bytes`)
  }
  const asserting = Buffer.from(asserted.response.authenticatorData, 'base64url')
  for (let length = 0; length < asserting.length; length++) {
    t.equal(await authentication(asserting.subarray(0, length)), null, `${length} bytes`)
  }
  t.equal(await authentication(Buffer.concat([asserting, Buffer.of(0)])), null)
  const longer = Buffer.concat([authData, Buffer.of(0)])
  t.equal(await registration(encodeCbor(new Map<string, Cbor>([['fmt', 'none'], ['attStmt', new Map()], ['authData', longer]]))), null)
})

t.test('no byte of it, changed, is an exception', async (t) => {
  for (let at = 0; at < attested.length; at++) {
    for (const bit of [0x01, 0x20, 0x80]) {
      const changed = Buffer.from(attested)
      changed[at]! ^= bit
      await t.resolves(registration(changed))
    }
  }
})

t.test('CBOR of other shapes is refused: nested, endless, of lengths that are not there', async (t) => {
  const wrap = (byte: number, times: number) => Buffer.concat([Buffer.alloc(times, byte), Buffer.of(0)])
  const shapes = [
    wrap(0x81, 9_000), wrap(0xa1, 9_000), wrap(0xc0, 9_000), Buffer.of(0x9f), Buffer.of(0x5f, 0x41), Buffer.of(0xbf),
    Buffer.of(0x9b, 255, 255, 255, 255, 255, 255, 255, 255), Buffer.of(0xbb, 0, 0, 0, 1, 0, 0, 0, 0), Buffer.of(0x5a, 255, 255, 255, 255),
    Buffer.of(0xa0), Buffer.of(0xf6), Buffer.of(0xf7), Buffer.of(0xfb, 0, 0, 0, 0, 0, 0, 0, 0), Buffer.of(0x00), Buffer.alloc(12_000)
  ]
  for (const shape of shapes) {
    t.equal(await registration(shape), null)
    t.equal(await registration(Buffer.concat([encodeCbor(new Map<string, Cbor>([['fmt', 'none']])), shape])), null)
    t.equal(await authentication(Buffer.concat([authData.subarray(0, 32), Buffer.of(0xc5, 0, 0, 0, 1), shape])), null)
    const inKey = Buffer.concat([authData.subarray(0, 55), authData.subarray(55, 87), shape])
    t.equal(await registration(encodeCbor(new Map<string, Cbor>([['fmt', 'none'], ['attStmt', new Map()], ['authData', inKey]]))), null)
  }
})

t.test('an attestation that nobody asked for is refused before it is read, and no address in it is fetched', async (t) => {
  const fetched: unknown[] = []
  const { fetch } = globalThis
  t.teardown(() => { globalThis.fetch = fetch })
  globalThis.fetch = async (address) => {
    fetched.push(address)
    throw new Error('No address may be fetched')
  }
  for (const fmt of ['fido-u2f', 'packed', 'tpm', 'android-key', 'android-safetynet', 'apple', 'compound', 'none ', '']) {
    const statement = new Map<string, Cbor>([['alg', -7], ['sig', randomBytes(70)], ['x5c', randomBytes(400)]])
    const attestation = new Map<string, Cbor>([['fmt', fmt], ['attStmt', statement], ['authData', authData]])
    t.equal(await registration(encodeCbor(attestation)), null, fmt)
  }
  t.same(fetched, [])
})

t.test('client data that is not the JSON of a client is refused', async (t) => {
  for (const text of ['', 'null', '[]', '1', '{', '{}', '{"type":"webauthn.create"}', '\ufeff', '"webauthn.create"', '{"type":{}}']) {
    const clientDataJSON = Buffer.from(text).toString('base64url')
    t.equal(await verifyRegistration(party, challenge, { ...created, response: { ...created.response, clientDataJSON } }), null, text)
    const answer = { ...asserted, response: { ...asserted.response, clientDataJSON } }
    t.equal(await verifyAssertion(party, challenge, { passkey, userHandle }, answer), null, text)
  }
})
