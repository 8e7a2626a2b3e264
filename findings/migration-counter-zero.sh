#!/usr/bin/env bash
# Fact: an event-based entry that was never used (counter 0) leaves otpauth-migration as a URI without the parameter counter, which the
#   Key URI format requires for hotp. The strict readers refuse it; @otplib/uri takes it and leaves counter undefined.
#   The package itself cannot be imported by Node (it imports folders), only through a bundler.
# Version: otpauth-migration 1.0.0, bundled by esbuild 0.28.2; readers: otpauth 9.5.2, url-otpauth 2.0.0, @otplib/uri 13.5.0.
# One would have guessed: counter=0 in the URI, as 0 is the usual first counter, and a package that its runtime can load.
# Why it matters: on the way from Google Authenticator into another system exactly the new HOTP entries are lost, while all
#   those with a counter above 0, and all TOTP entries, arrive. A test with counter 5 passes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact \
  otpauth-migration@1.0.0 esbuild@0.28.2 otpauth@9.5.2 url-otpauth@2.0.0 @otplib/uri@13.5.0
npm ls --depth=0
if node --input-type=module -e "import 'otpauth-migration'" 2> error.txt; then
  echo 'Node imports it now'
  exit 1
fi
grep -q ERR_UNSUPPORTED_DIR_IMPORT error.txt
echo 'imported by Node: ERR_UNSUPPORTED_DIR_IMPORT'
node_modules/.bin/esbuild node_modules/otpauth-migration/lib/index.js \
  --bundle --platform=node --format=esm --log-level=error --outfile=bundled.mjs
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { OTPAuth, OTPAuthMigration } from './bundled.mjs'
import { URI } from 'otpauth'
import urlOtpauth from 'url-otpauth'
import { parse } from '@otplib/uri'

// the protobuf of the export: field, then a length and bytes, or a number below 128
const bytes = (field, value) => Buffer.concat([Buffer.from([field << 3 | 2, value.length]), Buffer.from(value)])
const number = (field, value) => Buffer.from([field << 3, value])
const exported = counter => {
  const entry = Buffer.concat([
    bytes(1, '12345678901234567890'), bytes(2, 'ann'), bytes(3, 'Acme'),
    number(4, 1), number(5, 1), number(6, 1), ...(counter === 0 ? [] : [number(7, counter)])
  ])
  const payload = Buffer.concat([bytes(1, entry), number(2, 1), number(3, 1), number(4, 0), number(5, 7)])
  return `otpauth-migration://offline?data=${encodeURIComponent(payload.toString('base64'))}`
}
const reading = read => { try { return read() } catch (error) { return error.message } }
const seen = [0, 5].map(counter => {
  const [entry] = [OTPAuthMigration.parseURI(exported(counter))].flat()
  const uri = OTPAuth.toURI(entry)
  return {
    counter: entry.counter,
    parameter: new URL(uri).searchParams.get('counter'),
    otpauth: reading(() => URI.parse(uri).counter),
    urlOtpauth: reading(() => urlOtpauth.parse(uri).counter),
    otplib: reading(() => parse(uri).params.counter)
  }
})
console.log(seen)
assert.deepEqual(seen, [
  {
    counter: 0, parameter: null, otpauth: "Missing or invalid 'counter' parameter",
    urlOtpauth: seen[0].urlOtpauth, otplib: undefined
  },
  { counter: 5, parameter: '5', otpauth: 5, urlOtpauth: 5, otplib: 5 }
])
assert.match(seen[0].urlOtpauth, /invalid/)
JS
node probe.mjs
