#!/usr/bin/env bash
# Fact: otplib 12 repeats the bytes of a short key, and compares the length of its *text* with 20, 32 or 64: hexadecimal digits for
#   `authenticator`. So a key of 20 bytes is used as it is under SHA-256 and repeated under SHA-512; and a text of one character
#   less than needed is "repeated" once, that is, used as it is.
# Version: otplib 12.0.1.
# One would have guessed: keys are repeated up to the length of the digest, or never.
# Why it matters: a move to another library repeats all keys or none, and some of the users with SHA-256 or SHA-512 are locked out.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact otplib@12.0.1
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import otplib from 'otplib'

const { authenticator, totp } = otplib
/** Code of step 0. */
function code (key, algorithm) {
  const digest = createHmac(algorithm, key).update(Buffer.alloc(8)).digest()
  return String((digest.readUInt32BE(digest.at(-1) & 15) & 0x7fffffff) % 10 ** 8).padStart(8, '0')
}
const repeated = (key, bytes) => Buffer.concat(Array(Math.ceil(bytes / key.length)).fill(key)).subarray(0, bytes)
const options = (algorithm) => ({ epoch: 0, digits: 8, algorithm })
const is = (shown, key, algorithm, bytes) =>
  shown === code(key, algorithm) ? 'as it is' : shown === code(repeated(key, bytes), algorithm) ? 'repeated' : 'neither'

const key = Buffer.from('12345678901234567890')
const base32 = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
const text = (length) => 'a text of more than sixty characters, each of them another one, by and large'.slice(0, length)
const seen = {
  'authenticator, 20 bytes, sha256': is(authenticator.clone(options('sha256')).generate(base32), key, 'sha256', 32),
  'authenticator, 20 bytes, sha512': is(authenticator.clone(options('sha512')).generate(base32), key, 'sha512', 64),
  'totp, 30 characters, sha256': is(totp.clone(options('sha256')).generate(text(30)), Buffer.from(text(30)), 'sha256', 32),
  'totp, 31 characters, sha256': is(totp.clone(options('sha256')).generate(text(31)), Buffer.from(text(31)), 'sha256', 32)
}
console.log(seen)
assert.deepEqual(Object.values(seen), ['as it is', 'repeated', 'repeated', 'as it is'])
JS
node --no-deprecation probe.mjs
