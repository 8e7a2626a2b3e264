#!/usr/bin/env bash
# Fact: the lifetime 600 means four things: fast-jwt counts milliseconds (the token lives for a second at most), jsonwebtoken counts
#   seconds for a number and milliseconds for a text (expired as soon as made), jose takes a number as the moment itself, in 1970.
#   None of them warns. clockTolerance: seconds in jose and jsonwebtoken, milliseconds in fast-jwt.
# Version: fast-jwt 6.3.6, jsonwebtoken 9.0.3, jose 6.2.18.
# One would have guessed: 600 seconds, as exp, iat and nbf are in seconds (RFC 7519), and a text from the environment like the number.
# Why it matters: a service that changes its library, or reads the lifetime from its environment, makes tokens that are refused at once or
#   a second later. With clockTolerance: 5 in fast-jwt a clock that is two seconds off refuses, where the others accept.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact fast-jwt@6.3.6 jsonwebtoken@9.0.3 jose@6.2.18
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { createSigner, createVerifier } from 'fast-jwt'
import jsonwebtoken from 'jsonwebtoken'
import { SignJWT, decodeJwt, jwtVerify } from 'jose'

const key = '0123456789abcdef0123456789abcdef'
const bytes = Buffer.from(key)
const iat = 1_800_000_000
const exp = async token => decodeJwt(await token).exp
const life = async token => { const claims = decodeJwt(await token); return claims.exp - claims.iat }
const jose = lifetime => new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setIssuedAt().setExpirationTime(lifetime).sign(bytes)
const seen = {
  'fast-jwt, 600': await exp(createSigner({ key, expiresIn: 600 })({ iat })) - iat,
  'fast-jwt, 600000': await exp(createSigner({ key, expiresIn: 600_000 })({ iat })) - iat,
  'jsonwebtoken, 600': await exp(jsonwebtoken.sign({ iat }, key, { expiresIn: 600 })) - iat,
  "jsonwebtoken, '600'": await exp(jsonwebtoken.sign({ iat }, key, { expiresIn: '600' })) - iat,
  "jose, '600 s'": await life(jose('600 s')),
  'jose, 600': new Date(await exp(jose(600)) * 1000).toISOString()
}
console.log('Seconds from iat to exp:')
console.log(seen)
const late = jsonwebtoken.sign({ exp: Math.floor(Date.now() / 1000) - 2 }, key)
const accepts = async verify => { try { await verify(); return true } catch { return false } }
const tolerance = {
  jose: await accepts(() => jwtVerify(late, bytes, { clockTolerance: 5 })),
  jsonwebtoken: await accepts(() => jsonwebtoken.verify(late, key, { clockTolerance: 5 })),
  'fast-jwt': await accepts(() => createVerifier({ key, clockTolerance: 5 })(late)),
  'fast-jwt, 5000': await accepts(() => createVerifier({ key, clockTolerance: 5000 })(late))
}
console.log('Expired two seconds ago, clockTolerance: 5:')
console.log(tolerance)
assert.ok([0, 1].includes(seen['fast-jwt, 600']))
assert.deepEqual(seen, {
  'fast-jwt, 600': seen['fast-jwt, 600'],
  'fast-jwt, 600000': 600,
  'jsonwebtoken, 600': 600,
  "jsonwebtoken, '600'": 0,
  "jose, '600 s'": 600,
  'jose, 600': '1970-01-01T00:10:00.000Z'
})
assert.deepEqual(tolerance, { jose: true, jsonwebtoken: true, 'fast-jwt': false, 'fast-jwt, 5000': true })
JS
node probe.mjs
