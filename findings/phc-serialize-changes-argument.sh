#!/usr/bin/env bash
# Fact: serialize() of @phc/format turns the numbers in the caller's own object into strings: params { m: 65536, t: 3 } are
#   { m: "65536", t: "3" } after the call. deserialize() gives numbers.
# Version: @phc/format 1.0.0.
# One would have guessed: a function that builds a string leaves its argument alone.
# Why it matters: with one object of parameters for the whole process, all is well until the first password is stored. After it
#   "params.t + 1" is "31", a strict comparison with the stored parameters says that every hash is outdated (so each login hashes anew),
#   and a hash function that wants numbers throws.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact @phc/format@1.0.0
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import phc from '@phc/format'

const params = { m: 65536, t: 3, p: 4 }
const before = { ...params }
const text = phc.serialize({ id: 'argon2id', version: 19, params, salt: Buffer.from('saltsalt'), hash: Buffer.alloc(16, 1) })
const read = phc.deserialize(text).params
console.log(text)
console.log({ before, after: params, read })
assert.deepEqual(before, { m: 65536, t: 3, p: 4 })
assert.deepEqual(params, { m: '65536', t: '3', p: '4' })
assert.deepEqual(read, before)
JS
node probe.mjs
