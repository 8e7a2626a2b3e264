#!/usr/bin/env bash
# Fact: fido2-lib knows the transports usb, nfc, ble, cable and internal. If allowCredentials of its expectations has hybrid or smart-card,
#   which browsers give, assertionResult() throws before it judges the answer.
# Version: fido2-lib 3.5.9.
# One would have guessed: any names pass, since WebAuthn has them ignored where they are unknown, or at least those of its Level 3.
# Why it matters: getTransports() of the browser gives ["hybrid", "internal"] for the passkeys of phones. Stored and put into the list, as
#   the specification recommends, they make each log-in of such a user fail, after a registration without an error.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact fido2-lib@3.5.9
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { Fido2Lib } from 'fido2-lib'

const sha256 = bytes => createHash('sha256').update(bytes).digest()
const buffer = bytes => Uint8Array.from(bytes).buffer

// a right assertion of our own making: user present and verified, counter 1, ES256
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const origin = 'https://example.test'
const challenge = Buffer.alloc(32, 1).toString('base64url')
const id = buffer(Buffer.alloc(16, 2))
const clientData = Buffer.from(JSON.stringify({ type: 'webauthn.get', challenge, origin, crossOrigin: false }))
const authenticatorData = Buffer.concat([sha256('example.test'), Buffer.from([5, 0, 0, 0, 1])])
const signature = sign('sha256', Buffer.concat([authenticatorData, sha256(clientData)]), privateKey)

const seen = {}
for (const transports of [undefined, ['internal'], ['usb', 'nfc'], ['hybrid', 'internal'], ['usb', 'smart-card']]) {
  const answer = {
    id,
    rawId: id,
    response: { clientDataJSON: buffer(clientData), authenticatorData: buffer(authenticatorData), signature: buffer(signature) }
  }
  const expectations = {
    rpId: 'example.test',
    challenge,
    origin,
    factor: 'either',
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }),
    prevCounter: 0,
    userHandle: null,
    allowCredentials: [{ id, type: 'public-key', ...(transports && { transports }) }]
  }
  seen[transports ?? 'none'] = await new Fido2Lib({ rpId: 'example.test' }).assertionResult(answer, expectations)
    .then(({ audit }) => audit.complete ? 'accepted' : 'incomplete', error => error.message.replace(/ to be .*/, ''))
}
console.log(seen)
assert.deepEqual(seen, {
  none: 'accepted',
  internal: 'accepted',
  'usb,nfc': 'accepted',
  'hybrid,internal': 'expected transports of allowCredentials[0]',
  'usb,smart-card': 'expected transports of allowCredentials[0]'
})
JS
node probe.mjs
