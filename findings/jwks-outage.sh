#!/usr/bin/env bash
# Fact: when the key server answers 503 after the cache's time is over, jose and jwks-rsa refuse every token although they still hold
#   the key and the token names it; get-jwks goes on with the key that it has. For a kid that is not in the set, jose asks once in
#   30 seconds at most, the other two ask the server for each token again.
# Version: jose 6.2.18 (createRemoteJWKSet), jwks-rsa 4.1.0, get-jwks 11.0.3.
# One would have guessed: the last known keys go on being used while the server is away, since a cache is there for that.
# Why it matters: an outage of the one key route, ten minutes long with the defaults of jose, stops every API that verifies tokens.
#   Keys must be in the set for longer than the verifiers' cache before they sign, and the route needs a cache in front.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact jose@6.2.18 jwks-rsa@4.1.0 get-jwks@11.0.3
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import * as jose from 'jose'
import jwksRsa from 'jwks-rsa'
import buildGetJwks from 'get-jwks'

const { publicKey } = await jose.generateKeyPair('ES256', { extractable: true })
const jwk = { ...await jose.exportJWK(publicKey), kid: 'k1', alg: 'ES256', use: 'sig' }
let down = false
let fetches = 0
const server = http.createServer((request, response) => {
  fetches++
  if (down) response.writeHead(503).end()
  else response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [jwk] }))
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const domain = `http://127.0.0.1:${server.address().port}`
const cacheMs = 1500
const remote = jose.createRemoteJWKSet(new URL(`${domain}/jwks`), { cacheMaxAge: cacheMs })
const client = jwksRsa({ jwksUri: `${domain}/jwks`, cacheMaxAge: cacheMs })
const getJwks = buildGetJwks({ ttl: cacheMs, jwksPath: '/jwks' })
const finders = {
  jose: kid => remote({ alg: 'ES256', kid }),
  'jwks-rsa': kid => client.getSigningKey(kid),
  'get-jwks': kid => getJwks.getPublicKey({ kid, alg: 'ES256', domain })
}
const key = async kid => {
  const seen = {}
  for (const [name, find] of Object.entries(finders)) {
    seen[name] = await find(kid).then(() => 'found', error => `${error.name}: ${error.message}`)
  }
  return seen
}
const seen = { fresh: await key('k1') }
down = true
await wait(cacheMs * 2)
seen.serverDown = await key('k1')
down = false
seen.serverBack = await key('k1')
seen.fetchesForFiveUnknown = {}
for (const [name, find] of Object.entries(finders)) {
  const before = fetches
  for (let i = 0; i < 5; i++) await find('other').catch(() => {})
  seen.fetchesForFiveUnknown[name] = fetches - before
}
server.close()
console.log(seen)
const all = { jose: 'found', 'jwks-rsa': 'found', 'get-jwks': 'found' }
assert.deepEqual(seen.fresh, all)
assert.match(seen.serverDown.jose, /Expected 200 OK/)
assert.match(seen.serverDown['jwks-rsa'], /Service Unavailable/)
assert.equal(seen.serverDown['get-jwks'], 'found')
assert.deepEqual(seen.serverBack, all)
assert.ok(seen.fetchesForFiveUnknown.jose <= 1)
assert.deepEqual(seen.fetchesForFiveUnknown, { jose: seen.fetchesForFiveUnknown.jose, 'jwks-rsa': 5, 'get-jwks': 5 })
JS
node probe.mjs
