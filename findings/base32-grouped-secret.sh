#!/usr/bin/env bash
# Fact: thirty-two decodes a space inside a secret into bits of its own, without an error. otplib 12 decodes by it, so it computes codes
#   for another key when the secret is written in groups of four, as authenticator apps and account pages show it.
# Version: thirty-two 1.0.2 under otplib 12.0.1; compared with otpauth 9.5.2 and base32-decode 1.0.0.
# One would have guessed: spaces are dropped, or an error is thrown. The otplib of today (13) throws.
# Why it matters: a secret typed in groups (support tool, import from a table, test) is accepted and stored, and every code is wrong
#   after it. Lower case is harmless in both, so a test with "gezd..." does not show it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact \
  thirty-two@1.0.2 otplib@12.0.1 otpauth@9.5.2 base32-decode@1.0.0
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import thirtyTwo from 'thirty-two'
import otplib from 'otplib'
import base32Decode from 'base32-decode'
import { TOTP } from 'otpauth'

const grouped = 'GEZD GNBV GY3T QOJQ'
const joined = grouped.replaceAll(' ', '')
const { authenticator } = otplib
authenticator.options = { epoch: 59_000 }
let error
try { base32Decode(grouped, 'RFC4648') } catch (caught) { error = caught.message }
const seen = {
  joined: { key: thirtyTwo.decode(joined).toString('hex'), code: authenticator.generate(joined) },
  grouped: { key: thirtyTwo.decode(grouped).toString('hex'), code: authenticator.generate(grouped) },
  lowerCase: authenticator.generate(joined.toLowerCase()),
  otpauthGrouped: new TOTP({ secret: grouped }).generate({ timestamp: 59_000 }),
  'base32-decode': error
}
console.log(`The secret ${grouped} by thirty-two and otplib 12, joined and grouped:`)
console.log(seen)
assert.equal(seen.joined.key, Buffer.from('1234567890').toString('hex'))
assert.equal(seen.lowerCase, seen.joined.code)
assert.equal(seen.otpauthGrouped, seen.joined.code)
assert.match(error, /Invalid character/)
assert.notEqual(seen.grouped.key, seen.joined.key)
assert.notEqual(seen.grouped.code, seen.joined.code)
JS
node --no-deprecation probe.mjs
