#!/usr/bin/env bash
# Fact: Bitwarden's SDK reads an otpauth URI of type hotp as if it were totp: it ignores type and counter and shows the code of the clock.
#   No error, and nothing in the answer tells.
# Version: @bitwarden/sdk-internal 0.2.0-main.1054, the core of Bitwarden's apps; compared with otpauth 9.5.2.
# One would have guessed: the code of the counter, or a refusal of the type that is not supported.
# Why it matters: an event-based entry looks well after the move, with a code and its 30 seconds, and every code is wrong. Each try counts
#   towards the lock-out of the user. HOTP entries have to stay where they are, or be set up again as TOTP.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact @bitwarden/sdk-internal@0.2.0-main.1054 otpauth@9.5.2
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import sdk from '@bitwarden/sdk-internal'
import { HOTP, Secret, TOTP } from 'otpauth'

const secret = Secret.fromLatin1('12345678901234567890') // the key of the RFC's test vectors
const timestamp = 1_111_111_109_000
const client = new sdk.PasswordManagerClient({ get_access_token: async () => undefined }, undefined, new sdk.ManagedSettingsClient())
const shown = uri => client.vault().totp().generate_totp(uri, timestamp).code
const totp = `otpauth://totp/Acme:ann?secret=${secret.base32}&issuer=Acme`
const hotp = `otpauth://hotp/Acme:ann?secret=${secret.base32}&issuer=Acme&counter=5`
const seen = {
  'code of the clock': new TOTP({ secret }).generate({ timestamp }),
  'code of counter 5': new HOTP({ secret }).generate({ counter: 5 }),
  'Bitwarden, totp': shown(totp),
  'Bitwarden, hotp with counter=5': shown(hotp)
}
console.log(seen)
assert.deepEqual(seen, {
  'code of the clock': '081804',
  'code of counter 5': '254676',
  'Bitwarden, totp': '081804',
  'Bitwarden, hotp with counter=5': '081804'
})
JS
node probe.mjs
