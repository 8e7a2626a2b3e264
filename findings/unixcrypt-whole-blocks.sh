#!/usr/bin/env bash
# Fact: unixcrypt makes another hash than crypt() of a password whose length in bytes is a multiple of the digest's: 32, 64, 96 … under
#   $5$ (SHA-256), 64, 128 … under $6$ (SHA-512). verify() is false for the right password there, and right for every other length.
# Version: unixcrypt 3.0.4; compared with crypt() of Debian 12 (libcrypt1, by Perl) for the lengths from 1 to 200.
# One would have guessed: all lengths or none, as it passes the vectors of the specification, of which none has such a length.
# Why it matters: these are the lengths of generated passwords (32 or 64 hexadecimal digits, 64 characters of a password manager): their
#   users, of a move from a Unix or LDAP directory, get "wrong password", and hashes that are made by it work nowhere else.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact unixcrypt@3.0.4
npm ls --depth=0
perl -e 'for my $id (5, 6) { for my $n (1 .. 200) { print join("\t", $id, $n, crypt("x" x $n, "\$$id\$saltstring")), "\n" } }' > hashes.tsv
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { encrypt, verify } from 'unixcrypt'

const refused = { 5: [], 6: [] }
const rows = readFileSync('hashes.tsv', 'utf8').trim().split('\n').map(line => line.split('\t'))
assert.equal(rows.length, 400)
for (const [id, length, hash] of rows) {
  const password = 'x'.repeat(length)
  if (!verify(password, hash)) refused[id].push(Number(length))
  assert.equal(encrypt(password, `$${id}$saltstring`) === hash, verify(password, hash))
}
console.log('lengths of right passwords that verify() refuses:', refused)
assert.deepEqual(refused, { 5: [32, 64, 96, 128, 160, 192], 6: [64, 128, 192] })
JS
node probe.mjs
