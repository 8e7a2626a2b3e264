#!/usr/bin/env bash
# Fact: needsRehash() of argon2 compares version, memory, time and parallelism, and neither the variant nor the length: it is false for an
#   argon2i or argon2d hash while the options ask for argon2id, and for a hash of 16 bytes where they ask for 32.
# Version: argon2 0.44.0.
# One would have guessed: true for each difference between the hash and the options.
# Why it matters: argon2i was the default of this package before 0.30. Where the costs are kept, the move to argon2id at the next log-in,
#   for which the function is there, happens for no user, and nothing tells. Compare the prefix ($argon2id$) beside it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact argon2@0.44.0
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import argon2 from 'argon2'

const wanted = { type: argon2.argon2id, memoryCost: 8192, timeCost: 2, parallelism: 1, hashLength: 32 }
const stored = {
  'as wanted': {},
  argon2i: { type: argon2.argon2i },
  argon2d: { type: argon2.argon2d },
  'hash of 16 bytes': { hashLength: 16 },
  'memory of 4 MiB': { memoryCost: 4096 },
  'one pass': { timeCost: 1 },
  'two lanes': { parallelism: 2 }
}
const seen = {}
for (const [name, options] of Object.entries(stored)) {
  seen[name] = argon2.needsRehash(await argon2.hash('correct horse', { ...wanted, ...options }), wanted)
}
console.log('needsRehash() while the options ask for argon2id, 8 MiB, two passes, one lane, 32 bytes:')
console.log(seen)
assert.deepEqual(seen, {
  'as wanted': false,
  argon2i: false,
  argon2d: false,
  'hash of 16 bytes': false,
  'memory of 4 MiB': true,
  'one pass': true,
  'two lanes': true
})
JS
node probe.mjs
