import { randomBytes } from 'node:crypto'
import t from 'tap'
import type { RelyingParty, UserVerification } from '../../../src/core/passkeys/webauthn.js'
import { creationOptions, requestOptions } from '../../../src/factors/passkeys/options.js'
import { verifyAssertion, verifyRegistration, type RegisteredPasskey } from '../../../src/factors/passkeys/webauthn.js'
import { softPasskey, type Falsified, type SoftPasskeyOptions } from '../../../src/testing/soft-passkey.js'

const origin = 'https://app.example.org'
const native = 'android:apk-key-hash:pNiP5iKyQ8JwgGOaKA1zGPUPJIS-0H1xKCQcfIoGLck'
const userHandle = randomBytes(32)

function relyingParty (userVerification: UserVerification = 'preferred'): RelyingParty {
  return { rpId: 'example.org', rpName: 'Example', origins: [origin, native], userVerification }
}

function creation (challenge: Buffer, party = relyingParty()) {
  return creationOptions(party, { challenge, challengeSeconds: 300, userHandle, label: 'ada', known: [] })
}

interface Made { party?: RelyingParty, falsified?: Falsified, passkey?: SoftPasskeyOptions }

async function registered ({ party = relyingParty(), falsified = {}, passkey = { origin } }: Made = {}) {
  const soft = softPasskey(passkey)
  const challenge = randomBytes(32)
  return { soft, stored: await verifyRegistration(party, challenge, soft.register(creation(challenge, party), falsified)) }
}

async function asserted ({ party = relyingParty(), falsified = {}, passkey = { origin } }: Made = {}) {
  const { soft, stored } = await registered({ passkey })
  const challenge = randomBytes(32)
  const options = requestOptions(party, { challenge, challengeSeconds: 300, known: [stored!] })
  const response = soft.authenticate(options, falsified)
  const judged = await verifyAssertion(party, challenge, { passkey: stored, userHandle }, response)
  return { soft, stored: stored!, challenge, response, judged }
}

t.test('what an authenticator registers is what there is to store', async (t) => {
  for (const [algorithm, id] of [['ES256', -7], ['EdDSA', -8], ['RS256', -257]] as const) {
    const { soft, stored } = await registered({ passkey: { origin, algorithm, transports: ['usb', 'nfc'] } })
    t.match(stored, { algorithm: id, signCount: 1, transports: ['usb', 'nfc'], backupEligible: false, backedUp: false })
    t.equal(stored!.credentialId.toString('base64url'), soft.id)
    t.equal(stored!.aaguid, '00000000-0000-0000-0000-000000000000')
    t.same((await asserted({ passkey: { origin, algorithm } })).judged, { signCount: 2, backedUp: false }, algorithm)
  }
  t.match((await registered({ passkey: { origin, synced: true } })).stored, { signCount: 0, backupEligible: true, backedUp: true })
  t.ok((await registered({ passkey: { origin: native } })).stored, 'a listed native app')
})

/** Falsified members that both ceremonies refuse. */
const falsifications: Record<string, Falsified> = {
  'another challenge': { challenge: randomBytes(32).toString('base64url') },
  'another origin': { origin: 'https://example.org' },
  'an origin with a path': { origin: `${origin}/` },
  'another port': { origin: `${origin}:8443` },
  'an origin that contains ours': { origin: `${origin}.evil.example` },
  'inside a frame of another origin': { crossOrigin: true },
  'with the origin of a page around it': { topOrigin: origin },
  'inside a frame, with its origin': { crossOrigin: true, topOrigin: 'https://evil.example' },
  'another RP id': { rpId: 'app.example.org' },
  'nobody present': { userPresent: false },
  'backed up, and not eligible for it': { backupEligible: false, backedUp: true },
  'the other type': {}
}

t.test('each falsified member is refused, in both ceremonies', async (t) => {
  for (const [name, falsified] of Object.entries(falsifications)) {
    const other = name === 'the other type'
    const { stored } = await registered({ falsified: other ? { type: 'webauthn.get' } : falsified })
    t.equal(stored, null, `create: ${name}`)
    const { judged } = await asserted({ falsified: other ? { type: 'webauthn.create' } : falsified })
    t.equal(judged, null, `get: ${name}`)
  }
})

t.test('extensions are ignored, of the authenticator and of the client', async (t) => {
  const falsified = { extensions: { unknown: 1, credProtect: 2 } }
  t.ok((await registered({ falsified })).stored)
  const { stored, challenge, response, judged } = await asserted({ falsified })
  t.same(judged, { signCount: 2, backedUp: false })
  const answer = { ...response, clientExtensionResults: { appid: true, prf: { enabled: false }, unknown: ['x'] } }
  t.same(await verifyAssertion(relyingParty(), challenge, { passkey: stored, userHandle }, answer), judged)
})

t.test('self attestation is verified, and stored as none', async (t) => {
  t.ok((await registered({ passkey: { origin, selfAttested: true } })).stored)
})

t.test('user verification is asked for where it is required, and nowhere else', async (t) => {
  const passkey = { origin, verifiesUser: false }
  t.ok((await registered({ passkey })).stored)
  t.ok((await asserted({ passkey })).judged)
  const party = relyingParty('required')
  t.equal((await registered({ passkey, party })).stored, null)
  t.equal((await asserted({ passkey, party })).judged, null)
  t.ok((await asserted({ party })).judged)
})

t.test('backup eligibility never changes, the backup state may', async (t) => {
  const synced = { origin, synced: true }
  t.same((await asserted({ passkey: synced, falsified: { backedUp: false } })).judged, { signCount: 0, backedUp: false })
  t.equal((await asserted({ passkey: synced, falsified: { backupEligible: false, backedUp: false } })).judged, null)
  t.equal((await asserted({ falsified: { backupEligible: true } })).judged, null)
})

t.test('the counter is reported as it is, also one that went back: the statement decides', async (t) => {
  for (const counter of [0, 1, 2, 0xffffffff]) {
    t.same((await asserted({ falsified: { counter } })).judged, { signCount: counter, backedUp: false })
  }
})

t.test('a key that is not one of its algorithm is refused', async (t) => {
  for (const algorithm of [-257, -8, -35, -48, -37, 0]) {
    t.equal((await registered({ falsified: { algorithm } })).stored, null, `a point of P-256 as ${algorithm}`)
  }
})

t.test('an assertion counts for its passkey and its user alone', async (t) => {
  const { stored, challenge, response, judged } = await asserted()
  t.ok(judged)
  const other = (await registered()).stored as RegisteredPasskey
  const party = relyingParty()
  const judge = (passkey: RegisteredPasskey | null, handle = userHandle, answer = response) =>
    verifyAssertion(party, challenge, { passkey, userHandle: handle }, answer)
  t.ok(await judge(stored))
  t.equal(await judge(null), null, 'no such passkey')
  t.equal(await judge(other), null, 'another passkey')
  t.equal(await judge({ ...stored, publicKey: other.publicKey }), null, 'another key')
  t.equal(await judge({ ...stored, credentialId: other.credentialId }), null, 'another id')
  t.equal(await judge(stored, randomBytes(32)), null, 'the handle of another user')
  t.ok(await judge(stored, userHandle, { ...response, response: { ...response.response, userHandle: null } }), 'no handle')
})

// Of EdDSA, since DER, the form of the others' signatures, can be written in several ways.
t.test('no bit of a signature can be changed', async (t) => {
  const { stored, challenge, response } = await asserted({ passkey: { origin, algorithm: 'EdDSA' } })
  const signature = Buffer.from(response.response.signature, 'base64url')
  for (let i = 0; i < signature.length; i++) {
    const tampered = Buffer.from(signature)
    tampered[i]! ^= 1
    const answer = { ...response, response: { ...response.response, signature: tampered.toString('base64url') } }
    t.equal(await verifyAssertion(relyingParty(), challenge, { passkey: stored, userHandle }, answer), null, `byte ${i}`)
  }
})
