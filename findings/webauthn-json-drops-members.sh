#!/usr/bin/env bash
# Fact: @github/webauthn-json copies only the members that it knows. hints, attestationFormats and the extensions prf, largeBlob and
#   minPinLength of the server's options do not reach the browser, and the browser's prf and largeBlob results do not reach the server.
#   No error, no warning.
# Version: @github/webauthn-json 2.1.1 (browser-ponyfill), the last one.
# One would have guessed: unknown members pass through unchanged, since the package changes only base64url into bytes and back.
# Why it matters: a server that asks for a security key by hints, or reads prf, works with the browser's own parseCreationOptionsFromJSON
#   and does nothing in a front end on this package. From outside it looks as if the browser or the key lacked the feature.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact @github/webauthn-json@2.1.1
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { create, parseCreationOptionsFromJSON } from '@github/webauthn-json/browser-ponyfill'

const options = {
  rp: { id: 'example.test', name: 'Example' },
  user: { id: 'AAAA', name: 'ann', displayName: 'Ann' },
  challenge: 'AAAA',
  pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
  hints: ['security-key'],
  attestation: 'direct',
  attestationFormats: ['packed'],
  extensions: { credProps: true, minPinLength: true, largeBlob: { support: 'preferred' }, prf: { eval: { first: 'AAAA' } } }
}
// a browser that notes its arguments and answers as a key with prf does
let received
const credentials = {
  async create(argument) {
    received = argument.publicKey
    const bytes = new ArrayBuffer(1)
    return {
      type: 'public-key', id: 'AA', rawId: bytes, authenticatorAttachment: 'cross-platform',
      response: { clientDataJSON: bytes, attestationObject: bytes, getTransports: () => ['usb'] },
      getClientExtensionResults: () => ({ credProps: { rk: true }, prf: { enabled: true }, largeBlob: { supported: true } })
    }
  }
}
Object.defineProperty(globalThis, 'navigator', { value: { credentials } })
const answer = JSON.parse(JSON.stringify(await create(parseCreationOptionsFromJSON({ publicKey: options }))))
const seen = {
  membersLost: Object.keys(options).filter(name => !(name in received)),
  extensionsSent: Object.keys(received.extensions),
  resultsReturned: Object.keys(answer.clientExtensionResults)
}
console.log(seen)
assert.deepEqual(seen, {
  membersLost: ['hints', 'attestationFormats'], extensionsSent: ['credProps'], resultsReturned: ['credProps']
})
JS
node probe.mjs
