#!/usr/bin/env bash
# Fact: @otplib/v12-adapter, which calls itself a drop-in replacement for otplib 12, computes other codes than otplib 12 in two cases and
#   refuses keys in a third: option epoch of authenticator counts seconds (12: milliseconds); totp with sha256 or sha512 takes the key
#   as it is (12 repeats a text up to 32 or 64 bytes); a secret of 10 bytes, the default length of 12, throws SecretTooShortError.
# Version: @otplib/v12-adapter 13.4.0 against otplib 12.0.1.
# One would have guessed: same calls, same codes, for every user enrolled under 12.
# Why it matters: after the change of package all users with 16-letter secrets are locked out, and all with SHA-256 have wrong codes,
#   while a test with a 32-letter secret, SHA-1 and no fixed time passes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact otplib@12.0.1 @otplib/v12-adapter@13.4.0
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import v12 from 'otplib'
import * as adapter from '@otplib/v12-adapter'

const text = '12345678901234567890'
const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
const run = ({ authenticator, totp }) => {
  const result = {}
  authenticator.options = { epoch: 59_000 }
  result.epoch59000 = authenticator.generate(secret)
  authenticator.options = { epoch: 59 }
  result.epoch59 = authenticator.generate(secret)
  try { result.tenBytes = authenticator.generate('GEZDGNBVGY3TQOJQ') } catch (error) { result.tenBytes = error.name }
  result.lettersOfNewSecret = authenticator.generateSecret().length
  for (const algorithm of ['sha1', 'sha256', 'sha512']) {
    totp.options = { epoch: 59_000, digits: 8, algorithm }
    result[algorithm] = totp.generate(text)
  }
  return result
}
const seen = { v12: run(v12), adapter: run(adapter) }
console.log(seen)
assert.deepEqual(seen, {
  v12: {
    epoch59000: '287082', epoch59: '755224', tenBytes: seen.v12.tenBytes, lettersOfNewSecret: 16,
    sha1: '94287082', sha256: '46119246', sha512: '90693936' // RFC 6238, appendix B
  },
  adapter: {
    epoch59000: '954331', epoch59: '287082', tenBytes: 'SecretTooShortError', lettersOfNewSecret: 32,
    sha1: '94287082', sha256: '32247374', sha512: '69342147'
  }
})
assert.match(seen.v12.tenBytes, /^\d{6}$/)
JS
node --no-deprecation probe.mjs
