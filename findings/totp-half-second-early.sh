#!/usr/bin/env bash
# Fact: @sunknudsen/totp rounds the time to whole seconds before it divides by 30: in the last half second of each step it makes the code of
#   the next one, and its check, which by default looks at one code, refuses the code that every app shows.
# Version: @sunknudsen/totp 1.2.0; compared with otpauth 9.5.2.
# One would have guessed: the step of RFC 6238, floor(seconds / 30), as the result is floored once more.
# Why it matters: a server that accepts no step ahead refuses one code in 60 of a bot or a test built on it, always at the end of a step; on
#   the other side, users who type late are refused. Its own tests use whole seconds, and clocks look guilty.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact @sunknudsen/totp@1.2.0 otpauth@9.5.2
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { generateToken, validateToken } from '@sunknudsen/totp'
import { Secret, TOTP } from 'otpauth'

const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ' // the key of the RFC
const app = new TOTP({ secret: Secret.fromBase32(secret) })
const begin = 1769904000000 // a step begins
const seen = {}
for (const after of [0, 15_000, 29_000, 29_499, 29_500, 29_999, 30_000]) {
  const timestamp = begin + after
  const code = app.generate({ timestamp })
  const own = generateToken(secret, 'SHA1', timestamp)
  seen[after] = {
    app: code,
    '@sunknudsen/totp': own,
    same: code === own,
    'takes the code of the app': validateToken(secret, code, 1, 'SHA1', timestamp)
  }
}
console.log('milliseconds after the step began:')
console.table(seen)
const next = app.generate({ timestamp: begin + 30_000 })
for (const [after, { same, '@sunknudsen/totp': own, 'takes the code of the app': taken }] of Object.entries(seen)) {
  const early = after === '29500' || after === '29999'
  assert.deepEqual({ after, same, taken }, { after, same: !early, taken: !early })
  if (early) assert.equal(own, next)
}
JS
node probe.mjs
