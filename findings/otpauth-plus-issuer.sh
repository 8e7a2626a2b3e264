#!/usr/bin/env bash
# Fact: the otpauth URI of better-auth's package writes a space of the issuer as %20 in the label and as + in the parameter.
#   Two of three readers take that + as the character itself: the issuer is "Acme+Corp".
# Version: @better-auth/utils 0.5.1 (createOTP().url()); readers: otpauth 9.5.2, @otplib/uri 13.5.0, url-otpauth 2.0.0.
# One would have guessed: one form of a space in one URI, %20, as the Key URI format and otpauth's own builder write it.
# Why it matters: the name in the app is not the name of the service, and an app or an importer that compares the issuer of the label with
#   the parameter finds two. It shows only with an issuer of two words: tests with "Acme" pass.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact \
  @better-auth/utils@0.5.1 otpauth@9.5.2 @otplib/uri@13.5.0 url-otpauth@2.0.0
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { createOTP } from '@better-auth/utils/otp'
import { TOTP, URI } from 'otpauth'
import { parse } from '@otplib/uri'
import urlOtpauth from 'url-otpauth'

const uri = createOTP('0123456789abcdef0123456789abcdef').url('Acme Corp', 'ann')
const seen = {
  uri: uri.replace(/secret=\w+/, 'secret=…'),
  otpauth: URI.parse(uri).issuer,
  '@otplib/uri': parse(uri).params.issuer,
  'url-otpauth': urlOtpauth.parse(uri).issuer
}
console.log(seen)
assert.deepEqual(seen, {
  uri: 'otpauth://totp/Acme%20Corp:ann?secret=…&issuer=Acme+Corp&digits=6&period=30',
  otpauth: 'Acme+Corp',
  '@otplib/uri': 'Acme+Corp',
  'url-otpauth': 'Acme Corp'
})
assert.match(new TOTP({ issuer: 'Acme Corp', label: 'ann' }).toString(), /issuer=Acme%20Corp/)
JS
node probe.mjs
