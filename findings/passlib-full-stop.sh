#!/usr/bin/env bash
# Fact: passlib writes the salt and the hash of PBKDF2 in a base64 of its own, with "." for "+", and those of scrypt and argon2 in the usual
#   one. Node's Buffer skips a "." without an error, so salt and hash of about six users in ten become other bytes.
# Version: python3-passlib 1.7.4-3 (Debian 12); Buffer.from(…, 'base64') of Node 20; its atob() refuses such a text.
# One would have guessed: base64 without padding, as the other two formats of the same library have it; or an error at the first ".".
# Why it matters: passwords of a Flask or Pyramid app, moved by such a decoder, work for four users in ten, among them perhaps the one of the
#   test. The others get "wrong password". Replace "." by "+" first; the iterations stand without "i=" between the signs of dollar.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq -o APT::Sandbox::User=root python3-passlib=1.7.4-3
for package in ./*.deb; do dpkg -x "$package" root; done
ls ./*.deb
cat > hashes.py <<'PYTHON'
import hashlib
import sys

sys.path.insert(0, sys.argv[1] + "/root/usr/lib/python3/dist-packages")
from passlib.hash import pbkdf2_sha256, scrypt

print(scrypt.using(rounds=4, salt=b"\xfb\xef\xbe" * 5).hash("secret").split("$")[3])
for n in range(500):
    salt = hashlib.sha256(b"%d" % n).digest()[:16]
    print(pbkdf2_sha256.using(rounds=10, salt=salt).hash("secret"), salt.hex())
PYTHON
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { pbkdf2Sync } from 'node:crypto'
import { readFileSync } from 'node:fs'

const [scryptSalt, ...lines] = readFileSync('hashes.txt', 'utf8').trim().split('\n')
const decoded = { 'as it is': text => text, '. replaced by +': text => text.replaceAll('.', '+') }
const seen = {
  'with a full stop': { users: 0, 'as it is': 0, '. replaced by +': 0 },
  'without one': { users: 0, 'as it is': 0, '. replaced by +': 0 }
}
for (const line of lines) {
  const [encoded, salt] = line.split(' ')
  const [, , iterations, saltText, hashText] = encoded.split('$')
  const row = seen[/\./.test(saltText + hashText) ? 'with a full stop' : 'without one']
  row.users++
  for (const [name, change] of Object.entries(decoded)) {
    const [saltBytes, hash] = [saltText, hashText].map(text => Buffer.from(change(text), 'base64'))
    if (pbkdf2Sync('secret', saltBytes, Number(iterations), 32, 'sha256').equals(hash)) row[name]++
  }
  assert.equal(Buffer.from(saltText.replaceAll('.', '+'), 'base64').toString('hex'), salt)
}
console.log(lines[0].split(' ')[0])
console.log('500 users with the right password; accepted where Buffer decodes salt and hash:')
console.table(seen)
console.log('salt of scrypt:', scryptSalt)
const { 'with a full stop': stop, 'without one': none } = seen
assert.equal(stop.users + none.users, 500)
assert.ok(stop.users > 280 && stop.users < 360, 'about 64 in 100')
assert.deepEqual(stop, { users: stop.users, 'as it is': 0, '. replaced by +': stop.users })
assert.deepEqual(none, { users: none.users, 'as it is': none.users, '. replaced by +': none.users })
assert.match(scryptSalt, /^\++$/)
assert.throws(() => atob('ab.d'), { name: 'InvalidCharacterError' })
JS
python3 hashes.py "$dir" > hashes.txt
node probe.mjs
