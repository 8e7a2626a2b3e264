import { randomBytes } from 'node:crypto'
import { verifyAuthenticationResponse, verifyRegistrationResponse } from '@simplewebauthn/server'
import t from 'tap'
import { creationOptions, requestOptions, type KnownPasskey } from '../../src/factors/passkeys/options.js'
import { softPasskey, type SoftPasskeyOptions } from '../../src/testing/soft-passkey.js'

const origin = 'https://app.example.org'
const party = { rpId: 'example.org', rpName: 'Example', origins: [origin], userVerification: 'preferred' as const }
const algorithms = { ES256: -7, EdDSA: -8, RS256: -257 }

function creation (known: KnownPasskey[] = []) {
  return creationOptions(party, { challenge: randomBytes(32), challengeSeconds: 300, userHandle: randomBytes(32), label: 'ada', known })
}

function request (...ids: string[]) {
  const known = ids.map((id) => ({ credentialId: Buffer.from(id, 'base64url'), transports: [] }))
  return requestOptions(party, { challenge: randomBytes(32), challengeSeconds: 300, known })
}

/** Registers and asserts, judged by @simplewebauthn/server alone. */
async function ceremonies (options: Omit<SoftPasskeyOptions, 'origin'>) {
  const passkey = softPasskey({ origin, ...options })
  const created = creation()
  const expected = { expectedOrigin: origin, expectedRPID: 'example.org', requireUserVerification: options.verifiesUser ?? true }
  const { verified, registrationInfo } = await verifyRegistrationResponse({
    response: passkey.register(created) as never,
    expectedChallenge: created.challenge,
    supportedAlgorithmIDs: Object.values(algorithms),
    ...expected
  })
  const asked = request(passkey.id)
  const response = passkey.authenticate(asked)
  const asserted = await verifyAuthenticationResponse({
    response: response as never, expectedChallenge: asked.challenge, credential: registrationInfo!.credential, ...expected
  })
  return { passkey, created, response, verified, registered: registrationInfo!, asserted }
}

t.test('the library takes what it registers and asserts, with each algorithm', async (t) => {
  for (const algorithm of ['ES256', 'EdDSA', 'RS256'] as const) {
    for (const selfAttested of [false, true]) {
      const { passkey, created, response, verified, registered, asserted } = await ceremonies({ algorithm, selfAttested })
      t.ok(verified)
      t.match(registered, { fmt: selfAttested ? 'packed' : 'none', credential: { id: passkey.id, counter: 1, transports: ['internal'] } })
      t.match(asserted, { verified: true, authenticationInfo: { newCounter: 2, userVerified: true, credentialDeviceType: 'singleDevice' } })
      t.equal(response.response.userHandle, created.user.id)
    }
  }
})

t.test('synced, or without user verification, it says so', async (t) => {
  const synced = await ceremonies({ synced: true })
  t.match(synced.registered, { credentialDeviceType: 'multiDevice', credentialBackedUp: true })
  t.match(synced.asserted, { verified: true, authenticationInfo: { newCounter: 0 } })
  const unverified = await ceremonies({ verifiesUser: false })
  t.match(unverified.asserted, { verified: true, authenticationInfo: { userVerified: false } })
})

t.test('like an authenticator it registers once, and answers only where it is allowed', (t) => {
  const passkey = softPasskey({ origin })
  const known = [{ credentialId: Buffer.from(passkey.id, 'base64url'), transports: [] }]
  t.throws(() => passkey.register(creation(known)), { name: 'InvalidStateError' })
  t.throws(() => passkey.authenticate(request()), { name: 'NotAllowedError' })
  t.end()
})
