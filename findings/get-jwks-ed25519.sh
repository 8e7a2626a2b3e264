#!/usr/bin/env bash
# Fact: getPublicKey() of get-jwks, which its documentation gives to fast-jwt and @fastify/jwt as their key, knows RSA and EC alone. A token
#   of EdDSA ends with "Cannot fetch key.", though it was fetched and fast-jwt verifies EdDSA: the cause is "Unsupported key type".
# Version: get-jwks 11.0.3 (jwk-to-pem 2.0.7), fast-jwt 6.3.6; jwks-rsa 4.1.0, in spite of its name, and jose 6.2.18 read the key.
# One would have guessed: the fetcher of keys understands each key that the verifier beside it takes.
# Why it matters: an API of Fastify refuses every token on the day when the issuer signs with Ed25519, with the error of a key that could
#   not be fetched. Make the key by createPublicKey({ key: await getJwk(…), format: 'jwk' }) of node:crypto.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact get-jwks@11.0.3 fast-jwt@6.3.6 jwks-rsa@4.1.0 jose@6.2.18
npm ls jwk-to-pem get-jwks fast-jwt jwks-rsa jose
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import { createVerifier } from 'fast-jwt'
import buildGetJwks from 'get-jwks'
import { createRemoteJWKSet, jwtVerify, SignJWT } from 'jose'
import jwksRsa from 'jwks-rsa'

const pairs = {
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  EdDSA: generateKeyPairSync('ed25519')
}
const keys = Object.entries(pairs).map(([alg, { publicKey }]) => ({ ...publicKey.export({ format: 'jwk' }), kid: alg, alg, use: 'sig' }))
const issuer = http.createServer((request, response) => response.end(JSON.stringify({ keys }))).listen(0, '127.0.0.1')
await once(issuer, 'listening')
const domain = `http://127.0.0.1:${issuer.address().port}/`
const jwksUri = `${domain}.well-known/jwks.json`

const jwks = buildGetJwks()
const byFastJwt = async (token, key) => (await createVerifier({ key })(token)).sub
const verifiers = {
  'fast-jwt, getPublicKey() of get-jwks': token => byFastJwt(token, ({ header: { kid, alg } }) => jwks.getPublicKey({ kid, alg, domain })),
  'fast-jwt, getJwk() of get-jwks': token => byFastJwt(token, async ({ header: { kid, alg } }) => {
    const key = createPublicKey({ key: await jwks.getJwk({ kid, alg, domain }), format: 'jwk' })
    return key.export({ type: 'spki', format: 'pem' })
  }),
  'fast-jwt, jwks-rsa': token => byFastJwt(token, async ({ header: { kid } }) => {
    return (await jwksRsa({ jwksUri }).getSigningKey(kid)).getPublicKey()
  }),
  jose: async token => (await jwtVerify(token, createRemoteJWKSet(new URL(jwksUri)))).payload.sub
}
const seen = {}
for (const [name, verify] of Object.entries(verifiers)) {
  seen[name] = {}
  for (const [alg, { privateKey }] of Object.entries(pairs)) {
    const token = await new SignJWT({ sub: 'ann' }).setProtectedHeader({ alg, kid: alg }).setExpirationTime('5m').sign(privateKey)
    seen[name][alg] = await verify(token).catch(error => `${error.message} ${error.originalError?.message}`)
  }
}
issuer.close()
console.table(seen)
const all = { RS256: 'ann', ES256: 'ann', EdDSA: 'ann' }
assert.deepEqual(seen, {
  'fast-jwt, getPublicKey() of get-jwks': { ...all, EdDSA: 'Cannot fetch key. Unsupported key type "OKP"' },
  'fast-jwt, getJwk() of get-jwks': all,
  'fast-jwt, jwks-rsa': all,
  jose: all
})
process.exit()
JS
node probe.mjs
