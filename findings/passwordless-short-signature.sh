#!/usr/bin/env bash
# Fact: @passwordless-id/webauthn cuts the two numbers of an ES256 signature out at fixed places, as if each had 32 bytes. DER writes a
#   number without its leading zero bytes: a signature with a shorter one, 1 in 128, is refused with "Invalid signature".
# Version: @passwordless-id/webauthn 2.4.0; compared with @simplewebauthn/server 14.0.3 and node:crypto, which accept all of them.
# One would have guessed: a valid signature is accepted, each time, as it is by every other library on the same key.
# Why it matters: a user's passkey fails about once in 128 log-ins and works at the next try, with any device and browser. A test with one
#   recorded assertion passes for ever, and the failure cannot be repeated. It refuses too much, never too little.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact @passwordless-id/webauthn@2.4.0 @simplewebauthn/server@14.0.3
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, sign, verify } from 'node:crypto'
import { server } from '@passwordless-id/webauthn'
import { verifyAuthenticationResponse } from '@simplewebauthn/server'

const [rpID, origin] = ['example.org', 'https://example.org']
const challenge = Buffer.alloc(32, 7).toString('base64url')
const id = Buffer.alloc(16, 1).toString('base64url')
const sha256 = data => createHash('sha256').update(data).digest()

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const { x, y } = publicKey.export({ format: 'jwk' })
const coseKey = Buffer.concat([ // kty EC2, alg ES256, crv P-256, x, y
  Buffer.from('a5010203262001215820', 'hex'), Buffer.from(x, 'base64url'), Buffer.from('225820', 'hex'), Buffer.from(y, 'base64url')
])
const authenticatorData = Buffer.concat([sha256(rpID), Buffer.from([5, 0, 0, 0, 0])]) // present and verified, counter 0
const clientDataJSON = Buffer.from(JSON.stringify({ type: 'webauthn.get', challenge, origin, crossOrigin: false }))
const signed = Buffer.concat([authenticatorData, sha256(clientDataJSON)])

const judges = {
  'node:crypto': signature => verify('sha256', signed, publicKey, signature),
  '@simplewebauthn/server': async (signature, response) => (await verifyAuthenticationResponse({
    response,
    expectedChallenge: challenge,
    expectedOrigin: origin,
    expectedRPID: rpID,
    credential: { id, publicKey: new Uint8Array(coseKey), counter: 0 }
  })).verified,
  '@passwordless-id/webauthn': async (signature, response) => {
    const spki = publicKey.export({ format: 'der', type: 'spki' }).toString('base64url')
    const key = { id, algorithm: 'ES256', publicKey: spki, transports: [] }
    try {
      await server.verifyAuthentication(response, key, { challenge, origin, userVerified: true })
      return true
    } catch (error) {
      assert.match(error.message, /^Invalid signature/)
      return false
    }
  }
}
const seen = {}
for (const name of Object.keys(judges)) seen[name] = { 'both of 32 bytes': '', 'one shorter': '' }
const count = { 'both of 32 bytes': 0, 'one shorter': 0 }
while (Math.min(...Object.values(count)) < 20) {
  const signature = sign('sha256', signed, privateKey)
  // in DER: 30 length, 02 length r, 02 length s; a number whose first bit is set has a zero byte before it
  const r = signature.subarray(4, 4 + signature[3])
  const s = signature.subarray(6 + signature[3])
  const least = Math.min(...[r, s].map(number => number[0] === 0 ? number.length - 1 : number.length))
  const kind = least < 32 ? 'one shorter' : 'both of 32 bytes'
  if (++count[kind] > 20) continue
  const response = {
    id,
    rawId: id,
    type: 'public-key',
    clientExtensionResults: {},
    response: {
      authenticatorData: authenticatorData.toString('base64url'),
      clientDataJSON: clientDataJSON.toString('base64url'),
      signature: signature.toString('base64url')
    }
  }
  for (const [name, accepts] of Object.entries(judges)) seen[name][kind] += await accepts(signature, response) ? 'y' : 'n'
}
const signatures = count['both of 32 bytes'] + count['one shorter']
console.log(`${count['one shorter']} of ${signatures} valid signatures have a shorter number. Accepted, of twenty each:`)
console.table(seen)
const [all, none] = ['y'.repeat(20), 'n'.repeat(20)]
assert.deepEqual(seen, {
  'node:crypto': { 'both of 32 bytes': all, 'one shorter': all },
  '@simplewebauthn/server': { 'both of 32 bytes': all, 'one shorter': all },
  '@passwordless-id/webauthn': { 'both of 32 bytes': all, 'one shorter': none }
})
JS
node probe.mjs
