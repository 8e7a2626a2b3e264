#!/usr/bin/env bash
# Fact: @fastify/reply-from, which @fastify/http-proxy calls, repeats a GET that the upstream answered with 503 ten times, and waits as
#   many milliseconds between them as Retry-After says seconds. `maxRetriesOn503` has no effect among the options of the plugin, and 0 has
#   none in `replyOptions` either; `retryMethods` without GET ends it.
# Version: @fastify/reply-from 12.6.5 under @fastify/http-proxy 11.6.3, fastify 5.12.8.
# One would have guessed: the 503 passes through with its Retry-After, for the client to wait; or one repetition after those seconds.
# Why it matters: a service that sheds load by 503 gets eleven requests in place of one, within a second, from a gateway built on it. The
#   client sees one 503, somewhat late. The 503 of a POST passes through at once, so a test of the log-in does not show it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact fastify@5.12.8 @fastify/http-proxy@11.6.3 @fastify/reply-from@12.6.5
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import httpProxy from '@fastify/http-proxy'
import Fastify from 'fastify'

let received = 0
const upstream = http.createServer((request, response) => {
  received++
  response.writeHead(503, { 'retry-after': '30' }).end()
}).listen(0, '127.0.0.1')
await once(upstream, 'listening')

const seen = {}
const variants = {
  'as it is': {},
  'maxRetriesOn503: 1 of the plugin': { maxRetriesOn503: 1 },
  'replyOptions: { maxRetriesOn503: 0 }': { replyOptions: { maxRetriesOn503: 0 } },
  'replyOptions: { maxRetriesOn503: 1 }': { replyOptions: { maxRetriesOn503: 1 } },
  'retryMethods: []': { retryMethods: [] }
}
for (const [name, options] of Object.entries(variants)) {
  const app = Fastify()
  await app.register(httpProxy, { upstream: `http://127.0.0.1:${upstream.address().port}`, ...options })
  seen[name] = {}
  for (const method of ['GET', 'POST']) {
    received = 0
    const started = performance.now()
    const { statusCode, headers } = await app.inject({ method, url: '/session' })
    assert.deepEqual([statusCode, headers['retry-after']], [503, '30'])
    assert.ok(performance.now() - started < 10_000, 'it waits for seconds now')
    seen[name][method] = received
  }
  await app.close()
}
upstream.close()
console.log('Requests that the upstream received for one request of a client, within ten seconds though Retry-After is 30:')
console.log(seen)
assert.deepEqual(seen, {
  'as it is': { GET: 11, POST: 1 },
  'maxRetriesOn503: 1 of the plugin': { GET: 11, POST: 1 },
  'replyOptions: { maxRetriesOn503: 0 }': { GET: 11, POST: 1 },
  'replyOptions: { maxRetriesOn503: 1 }': { GET: 2, POST: 1 },
  'retryMethods: []': { GET: 1, POST: 1 }
})
JS
node --no-deprecation probe.mjs
