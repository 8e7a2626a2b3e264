#!/usr/bin/env bash
# Fact: the middleware jwk of hono, and verifyWithJwks() below it, ask the key server for the key set in each request that brings a
#   token, and for the same token again: nothing is kept, also where the answer has Cache-Control: max-age.
# Version: hono 4.13.19, in Node; compared with createRemoteJWKSet() of jose 6.2.18 in the same application.
# One would have guessed: one fetch and a cache, as each other reader of a JWK Set has it. The comments of its source do not tell.
# Why it matters: the API sends the issuer as many requests as it gets, waits for it each time, and stands still with it. Tests see the
#   right answers. `keys` may be a function: give it keys that you keep, or verify by jose.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact hono@4.13.19 jose@6.2.18
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import { Hono } from 'hono'
import { jwk } from 'hono/jwk'
import { verifyWithJwks } from 'hono/jwt'
import { createRemoteJWKSet, jwtVerify, SignJWT } from 'jose'

const { publicKey, privateKey } = generateKeyPairSync('ed25519')
const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'a', alg: 'EdDSA', use: 'sig' }]
let asked = 0
const keyServer = http.createServer((request, response) => {
  asked++
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'public, max-age=600' }).end(JSON.stringify({ keys }))
}).listen(0, '127.0.0.1')
await once(keyServer, 'listening')
const jwksUri = `http://127.0.0.1:${keyServer.address().port}/.well-known/jwks.json`
const token = await new SignJWT({ sub: 'ann' }).setProtectedHeader({ alg: 'EdDSA', kid: 'a' }).setExpirationTime('5m').sign(privateKey)

const app = new Hono()
app.get('/by-uri', jwk({ jwks_uri: jwksUri, alg: ['EdDSA'] }), context => context.text(context.get('jwtPayload').sub))
app.get('/by-function', async (context) => {
  const { sub } = await verifyWithJwks(token, { jwks_uri: jwksUri, allowedAlgorithms: ['EdDSA'] })
  return context.text(sub)
})
let kept
const keepKeys = () => (kept ??= fetch(jwksUri).then(response => response.json()).then(set => set.keys))
app.get('/keys-kept', jwk({ keys: keepKeys, alg: ['EdDSA'] }), context => context.text(context.get('jwtPayload').sub))
const keySet = createRemoteJWKSet(new URL(jwksUri))
app.get('/jose', async (context) => context.text((await jwtVerify(token, keySet)).payload.sub))

const seen = {}
for (const path of ['/by-uri', '/by-function', '/keys-kept', '/jose']) {
  asked = 0
  for (let request = 0; request < 10; request++) {
    const response = await app.request(path, { headers: { authorization: `Bearer ${token}` } })
    assert.deepEqual([response.status, await response.text()], [200, 'ann'])
  }
  seen[path] = asked
}
keyServer.close()
console.log('requests to the key server for ten requests to the API with one token:', seen)
assert.deepEqual(seen, { '/by-uri': 10, '/by-function': 10, '/keys-kept': 1, '/jose': 1 })
process.exit()
JS
node probe.mjs
