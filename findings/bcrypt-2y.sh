#!/usr/bin/env bash
# Fact: bcrypt (the native one) answers false for a right password if the hash begins with $2y$, as PHP and Apache write it.
#   No error, and getRounds() reads the hash. With $2b$ in place of $2y$, which means the same, it answers true.
# Version: bcrypt 6.0.0; compared with bcryptjs 3.0.3, hash-wasm 4.13.0 and crypt() of Debian 12, which all answer true.
# One would have guessed: true as in the other three, or an error that names the prefix.
# Why it matters: passwords taken over from a PHP system look valid, yet each of these users gets "wrong password", and each try
#   counts towards a lock-out. Replace the prefix at import; the bytes behind it stay.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact bcrypt@6.0.0 bcryptjs@3.0.3 hash-wasm@4.13.0
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import bcrypt from 'bcrypt'
import bcryptjs from 'bcryptjs'
import { bcryptVerify } from 'hash-wasm'

const password = 'correct horse'
const hash2b = bcryptjs.hashSync(password, 6)
const hash = hash2b.replace(/^\$2b/, '$2y')
const perl = execFileSync('perl', ['-e', 'print crypt($ARGV[0], $ARGV[1]) eq $ARGV[1] ? "true" : "false"', password, hash])
const seen = {
  'crypt()': perl.toString() === 'true',
  bcryptjs: bcryptjs.compareSync(password, hash),
  'hash-wasm': await bcryptVerify({ password, hash }),
  bcrypt: bcrypt.compareSync(password, hash),
  'bcrypt, prefix replaced': bcrypt.compareSync(password, hash2b),
  rounds: bcrypt.getRounds(hash)
}
console.log(`${hash.slice(0, 7)}…, right password:`)
console.log(seen)
assert.deepEqual(seen, {
  'crypt()': true, bcryptjs: true, 'hash-wasm': true, bcrypt: false, 'bcrypt, prefix replaced': true, rounds: 6
})
JS
node probe.mjs
