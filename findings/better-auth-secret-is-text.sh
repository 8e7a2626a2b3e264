#!/usr/bin/env bash
# Fact: the `secret` that better-auth's two-factor plugin stores is a text, and its UTF-8 bytes are the key. A stored text that is good base32
#   is not decoded; only one that begins with `base32:` is. The QR code has the base32 of the text: base32 of base32 for such users.
# Version: @better-auth/utils 0.5.1, which better-auth 1.7.25 computes its codes with.
# One would have guessed: the stored secret is base32, as in every otpauth URI, since createOTP() takes a string named secret.
# Why it matters: a move in or out that writes or reads the text as base32 gives another key, without an error: every code of every user is
#   wrong after it. A text can be good base32 and still be a key as it is, so the rows alone do not say which reading is meant.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact @better-auth/utils@0.5.1 otpauth@9.5.2
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { createOTP } from '@better-auth/utils/otp'
import { HOTP, Secret } from 'otpauth'

const text = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
const otp = createOTP(text, { digits: 6, period: 30 })
const counter = 59_000_000
const seen = {
  betterAuth: await otp.hotp(counter),
  asText: new HOTP({ secret: Secret.fromUTF8(text) }).generate({ counter }),
  asBase32: new HOTP({ secret: Secret.fromBase32(text) }).generate({ counter }),
  secretInTheQrCode: new URL(otp.url('Acme', 'ada')).searchParams.get('secret')
}
console.log(seen)
assert.equal(seen.betterAuth, seen.asText)
assert.notEqual(seen.betterAuth, seen.asBase32)
assert.equal(seen.secretInTheQrCode.replace(/=+$/, ''), Secret.fromUTF8(text).base32)
JS
node probe.mjs
