#!/usr/bin/env bash
# Fact: openapi-fetch returns `error: undefined` or '' for a refusal without a body (with Content-Length: 0, and without), so `if (error)`,
#   as its documentation writes it, takes such a 503 for a success with `data` undefined. With one byte of body, `error` is a text.
# Version: openapi-fetch 0.17.0 (issue 2530 of openapi-ts/openapi-typescript).
# One would have guessed: `error` is truthy whenever the status is no 2xx, as the documentation tells of it.
# Why it matters: a service sends its refusals as JSON, and a proxy in front of it may send empty ones: while the service is away, a page
#   shows "done", such as a device removed, though nothing was. Ask `response.ok`.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact openapi-fetch@0.17.0
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import createClient from 'openapi-fetch'

const answers = {
  '/json': [401, 'application/json', '{"code":"TOKEN_INVALID"}'],
  '/text': [502, 'text/html', '<h1>Bad gateway</h1>'],
  '/empty': [503],
  '/empty-without-length': [503],
  '/done': [204]
}
const server = http.createServer(({ url }, response) => {
  const [status, type, body] = answers[url]
  if (type) response.setHeader('content-type', type)
  if (url === '/empty') response.setHeader('content-length', 0)
  response.writeHead(status).end(body)
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const client = createClient({ baseUrl: `http://127.0.0.1:${server.address().port}` })
const seen = {}
for (const path of Object.keys(answers)) {
  const { data, error, response } = await client.DELETE(path)
  seen[path] = { status: response.status, data, error, taken: error ? 'refused' : 'done' }
}
server.close()
console.log(seen)
assert.deepEqual(seen, {
  '/json': { status: 401, data: undefined, error: { code: 'TOKEN_INVALID' }, taken: 'refused' },
  '/text': { status: 502, data: undefined, error: '<h1>Bad gateway</h1>', taken: 'refused' },
  '/empty': { status: 503, data: undefined, error: undefined, taken: 'done' },
  '/empty-without-length': { status: 503, data: undefined, error: '', taken: 'done' },
  '/done': { status: 204, data: undefined, error: undefined, taken: 'done' }
})
JS
node probe.mjs
