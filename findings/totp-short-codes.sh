#!/usr/bin/env bash
# Fact: when the 31-bit number of RFC 4226 has fewer digits than the code, totp-generator drops the leading zeros by default
#   (explicitZeroPad is false), and notp gives only the last one to five digits, as the start of its substr() becomes negative.
# Version: totp-generator 2.0.1, notp 2.0.3.
# One would have guessed: six digits asked, six digits given, as the RFC says and as every authenticator app shows.
# Why it matters: a code of eight digits is short once in 215 codes, one of six once in 21,475. A test, a bot or a bridge that makes codes
#   by these libraries is refused at such moments by a right server, and the failure cannot be repeated half a minute later.
#   A server built on notp refuses the right code of its user.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact totp-generator@2.0.1 notp@2.0.3 otpauth@9.5.2
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { TOTP } from 'totp-generator'
import notp from 'notp'
import { HOTP, Secret } from 'otpauth'

const text = '12345678901234567890' // the key of the RFC's test vectors
const secret = Secret.fromLatin1(text)
const seen = []
// two steps of February 2026 at which the number is small
for (const [step, digits] of [[59000144, 8], [59005488, 6]]) {
  const timestamp = step * 30_000
  seen.push({
    at: new Date(timestamp).toISOString(),
    digits,
    otpauth: new HOTP({ secret, digits }).generate({ counter: step }),
    totpGenerator: (await TOTP.generate(secret.base32, { digits, timestamp })).otp,
    withZeroPad: (await TOTP.generate(secret.base32, { digits, timestamp, explicitZeroPad: true })).otp,
    ...(digits === 6 && { notp: notp.hotp.gen(text, { counter: step }) })
  })
}
console.log('Codes of the same key and step:')
console.log(seen)
assert.deepEqual(seen, [
  { at: '2026-02-02T03:52:00.000Z', digits: 8, otpauth: '04223878', totpGenerator: '4223878', withZeroPad: '04223878' },
  { at: '2026-02-04T00:24:00.000Z', digits: 6, otpauth: '002685', totpGenerator: '2685', withZeroPad: '002685', notp: '85' }
])
JS
node --no-deprecation probe.mjs
