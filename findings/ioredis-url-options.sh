#!/usr/bin/env bash
# Fact: ioredis takes options from the query of a URL, but as text: enableOfflineQueue=false leaves the queue on, lazyConnect=false does
#   not connect, tls=false switches TLS on. "false" is a text that is not empty, hence true.
# Version: ioredis 6.0.0.
# One would have guessed: false means false, as in the object of options; some are read right (family=6 and db=3 become numbers).
# Why it matters: with the queue on, a command against a dead Redis waits through every reconnect, instead of failing at once so that the
#   service can go on without it. The setting looks right in the configuration, and a test with the object passes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact ioredis@6.0.0
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import Redis from 'ioredis'

// a port at which nothing listens
const server = net.createServer().listen(0, '127.0.0.1')
await once(server, 'listening')
const { port } = server.address()
server.close()
await once(server, 'close')
const url = `redis://127.0.0.1:${port}`
const open = (...args) => new Redis(...args).on('error', () => {})
const afterASecond = async redis => {
  const get = redis.get('key').then(() => 'answered', error => error.message)
  const seen = await Promise.race([get, wait(1000, 'still waiting')])
  redis.disconnect()
  return seen
}
const status = redis => { const seen = { status: redis.status, tls: Boolean(redis.options.tls) }; redis.disconnect(); return seen }
const seen = {
  'enableOfflineQueue: false': await afterASecond(open(url, { enableOfflineQueue: false })),
  '?enableOfflineQueue=false': await afterASecond(open(`${url}?enableOfflineQueue=false`)),
  'lazyConnect: false': status(open(url, { lazyConnect: false })),
  '?lazyConnect=false': status(open(`${url}?lazyConnect=false`)),
  '?tls=false': status(open(`${url}?tls=false`)),
  '?family=6&db=3': (({ family, db }) => ({ family, db }))(open(`${url}?family=6&db=3&lazyConnect=true`).options)
}
console.log(seen)
assert.match(seen['enableOfflineQueue: false'], /enableOfflineQueue options is false/)
assert.equal(seen['?enableOfflineQueue=false'], 'still waiting')
assert.deepEqual(seen['lazyConnect: false'], { status: 'connecting', tls: false })
assert.deepEqual(seen['?lazyConnect=false'], { status: 'wait', tls: false })
assert.deepEqual(seen['?tls=false'], { status: 'connecting', tls: true })
assert.deepEqual(seen['?family=6&db=3'], { family: 6, db: 3 })
process.exit()
JS
node probe.mjs
