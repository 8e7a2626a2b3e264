#!/usr/bin/env bash
# Fact: base32.js makes one more byte of bits that are left over at the end of a text, if one of them is set. Other decoders drop them.
#   speakeasy takes its keys from it, so its codes for such a secret are not those of an authenticator app.
# Version: base32.js 0.1.0 under speakeasy 2.0.0; compared with hi-base32 0.5.1, otpauth 9.5.2, and @scure/base 2.4.0, which refuses.
# One would have guessed: the same bytes everywhere, or an error, since 26 letters are 130 bits, of which 128 make 16 bytes.
# Why it matters: some systems draw the letters of a secret by chance (16 or 32 letters have no bits left, 26 or 52 have two).
#   Three of four such secrets of 26 letters have a bit set at the end. Taken over from a system on speakeasy and decoded in the usual way,
#   the key is another one. The reverse as well: a secret that works in all apps fails on a server with speakeasy.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact \
  base32.js@0.1.0 speakeasy@2.0.0 hi-base32@0.5.1 otpauth@9.5.2 @scure/base@2.4.0
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import base32js from 'base32.js'
import speakeasy from 'speakeasy'
import hiBase32 from 'hi-base32'
import { Secret, TOTP } from 'otpauth'
import { base32nopad } from '@scure/base'

const secret = 'MFRGGZDFMZTWQ2LKNNWG23TPOB' // 26 letters; the last one leaves the bits 01
const hex = bytes => Buffer.from(bytes).toString('hex')
const refused = f => { try { return hex(f()) } catch (error) { return error.message } }
const seen = {
  'hi-base32': hex(hiBase32.decode.asBytes(secret)),
  otpauth: hex(Secret.fromBase32(secret).bytes),
  '@scure/base': refused(() => base32nopad.decode(secret)),
  'base32.js': hex(base32js.decode(secret)),
  codeOfOtpauth: new TOTP({ secret }).generate({ timestamp: 59_000 }),
  codeOfSpeakeasy: speakeasy.totp({ secret, encoding: 'base32', time: 59 })
}
console.log(`The key of ${secret}, and the code at 59 seconds:`)
console.log(seen)
assert.equal(seen['hi-base32'], '6162636465666768696a6b6c6d6e6f70')
assert.equal(seen.otpauth, seen['hi-base32'])
assert.match(seen['@scure/base'], /Non-zero padding/)
assert.equal(seen['base32.js'], `${seen['hi-base32']}40`)
assert.notEqual(seen.codeOfSpeakeasy, seen.codeOfOtpauth)
// a last letter without left-over bits: all agree
const canonical = `${secret.slice(0, -1)}A`
assert.equal(
  speakeasy.totp({ secret: canonical, encoding: 'base32', time: 59 }),
  new TOTP({ secret: canonical }).generate({ timestamp: 59_000 })
)
JS
node --no-deprecation probe.mjs
