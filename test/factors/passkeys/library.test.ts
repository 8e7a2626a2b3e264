/** The library that judges passkeys runs on Node 20, which `.ci/run` has; `npm run platforms` runs this on the oldest one. */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { verifyAuthenticationResponse, verifyRegistrationResponse } from '@simplewebauthn/server'
import t from 'tap'
import { passkeyAlgorithms, type RelyingParty } from '../../../src/core/passkeys/webauthn.js'
import { creationOptions, requestOptions } from '../../../src/factors/passkeys/options.js'
import { softPasskey } from '../../../src/testing/soft-passkey.js'

const manifest = async (path: string) => JSON.parse(await readFile(path, 'utf8')) as {
  version: string, engines: { node: string }, dependencies: Record<string, string>
}
/** Returns a range of the form `>=20.19` as numbers. */
function oldest (range: string): [number, number] {
  const [, major, minor = 0] = /^>=\s*(\d+)(?:\.(\d+))?(?:\.\d+)?$/.exec(range)!
  return [Number(major), Number(minor)]
}

t.test('it is the pinned version, and asks for no newer Node than this package', async (t) => {
  const installed = await manifest('node_modules/@simplewebauthn/server/package.json')
  t.equal(installed.version, (await manifest('service/package.json')).dependencies['@simplewebauthn/server'])
  t.match(installed.version, /^14\./)
  const [theirs, ours] = [oldest(installed.engines.node), oldest((await manifest('package.json')).engines.node)]
  t.ok(theirs[0] < ours[0] || (theirs[0] === ours[0] && theirs[1] <= ours[1]), `${installed.engines.node} of Node`)
})

t.test('it verifies a registration and a log-in of each algorithm on the Node of this process', async (t) => {
  const origin = 'https://app.example.org'
  const party: RelyingParty = { rpId: 'example.org', rpName: 'Example', origins: [origin], userVerification: 'preferred' }
  for (const algorithm of ['ES256', 'EdDSA', 'RS256'] as const) {
    const passkey = softPasskey({ origin, algorithm })
    const userHandle = randomBytes(32)
    const challenge = randomBytes(32)
    const expected = {
      expectedChallenge: challenge.toString('base64url'), expectedOrigin: origin, expectedRPID: 'example.org', requireUserVerification: true
    }
    const response = passkey.register(creationOptions(party, { challenge, challengeSeconds: 300, userHandle, label: 'ada', known: [] }))
    const registered = await verifyRegistrationResponse({
      ...expected, response: response as never, supportedAlgorithmIDs: [...passkeyAlgorithms]
    })
    t.ok(registered.verified, algorithm)
    const { id, publicKey, counter } = registered.registrationInfo!.credential
    const known = [{ credentialId: Buffer.from(id, 'base64url'), transports: ['internal'] }]
    const asserted = passkey.authenticate(requestOptions(party, { challenge, challengeSeconds: 300, known }))
    const { verified } = await verifyAuthenticationResponse({
      ...expected, response: asserted as never, credential: { id, publicKey, counter }
    })
    t.ok(verified, algorithm)
  }
})
