#!/usr/bin/env bash
# Fact: cbor and cbor-x write a Uint8Array as tag 64 in front of the bytes, and a Buffer as plain bytes; cbor-x also puts tag 259 before a
#   Map and writes the size of an object in two bytes. A COSE key or an attestation object made so is valid CBOR that WebAuthn readers
#   do not take: the decoder of @simplewebauthn/server returns a tag where the key should be, or throws.
# Version: cbor 10.0.12, cbor-x 1.6.9, read by @simplewebauthn/server 14.0.3; cborg 6.1.5 writes plain bytes for both.
# One would have guessed: a Buffer is a Uint8Array, so both give the same; and a Map gives a CBOR map.
# Why it matters: a software authenticator for tests, or a migration that writes COSE keys again, works as long as every value is a
#   Buffer, and breaks with the first value from crypto.subtle or from the browser.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact \
  cbor@10.0.12 cbor-x@1.6.9 cborg@6.1.5 @simplewebauthn/server@14.0.3
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import cbor from 'cbor'
import * as cborX from 'cbor-x'
import * as cborg from 'cborg'
import { decodeAttestationObject, decodeCredentialPublicKey } from '@simplewebauthn/server/helpers'

const writers = {
  cborg: cborg.encode,
  cbor: cbor.encode,
  'cbor-x': cborX.encode,
  'cbor-x, four options': value => new cborX.Encoder({
    tagUint8Array: false, useTag259ForMaps: false, useRecords: false, variableMapSize: true
  }).encode(value)
}
const hex = bytes => Buffer.from(bytes).toString('hex')
const key = new Map([[1, 2], [3, -7], [-1, 1], [-2, new Uint8Array(32).fill(1)], [-3, new Uint8Array(32).fill(2)]])
const object = { fmt: 'none', attStmt: {}, authData: Buffer.alloc(37) }
const reading = read => { try { return read() } catch (error) { return error.message } }
const seen = {}
for (const [name, encode] of Object.entries(writers)) {
  seen[name] = {
    uint8Array: hex(encode(new Uint8Array([1, 2]))),
    buffer: hex(encode(Buffer.from([1, 2]))),
    keyBegins: hex(encode(key)).slice(0, 6),
    x: reading(() => decodeCredentialPublicKey(new Uint8Array(encode(key))).get(-2).constructor.name),
    attestation: reading(() => decodeAttestationObject(new Uint8Array(encode(object))).get('fmt'))
  }
}
console.log(seen)
assert.deepEqual(seen.cborg, { uint8Array: '420102', buffer: '420102', keyBegins: 'a50102', x: 'Uint8Array', attestation: 'none' })
assert.deepEqual(seen.cbor, { uint8Array: 'd840420102', buffer: '420102', keyBegins: 'a50102', x: 'CBORTag', attestation: 'none' })
assert.equal(seen['cbor-x'].uint8Array, 'd840420102')
assert.equal(seen['cbor-x'].buffer, '420102')
assert.equal(seen['cbor-x'].keyBegins, 'd90103')
assert.notEqual(seen['cbor-x'].x, 'Uint8Array')
assert.match(seen['cbor-x'].attestation, /not well formed/)
assert.deepEqual(seen['cbor-x, four options'], seen.cborg)
JS
node probe.mjs
