#!/usr/bin/env bash
# Fact: `await pool.end()` of pg comes back before one connection has closed. An error of the server that arrives after it is still emitted
#   on the pool, so a program that has ended its pool, and has no listener for 'error' on it, ends with status 1.
#   `await client.end()` waits for the connection.
# Version: pg-pool 3.14.0 under pg 8.23.1. The server here speaks the protocol of PostgreSQL and answers the Terminate of a client as
#   PostgreSQL 15.20 often does for a database that is dropped by force in the same moment: FATAL 57P01.
# One would have guessed: the end waits for its clients, as the one of a client does; or an ended pool is silent.
# Why it matters: tests and scripts that end their pool and then `drop database … with (force)` fail now and then, in the code that
#   happens to run next, and a service that has closed in order ends with an error. The listener must stay after the end.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact pg@8.23.1 pg-pool@3.14.0
npm ls pg pg-pool
cat > server.mjs <<'JS'
import { once } from 'node:events'
import net from 'node:net'

const message = (type, ...parts) => {
  const body = Buffer.concat(parts.map(part => Buffer.from(part)))
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}
const ready = message('Z', 'I')
const shutDown = message('E', 'SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0')

/** Starts a server for one connection: it takes the start, answers each query by an empty result, and refuses the Terminate. */
export async function startServer () {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    let started = false
    socket.on('data', (data) => {
      if (!started) {
        started = true
        socket.write(Buffer.concat([message('R', Buffer.alloc(4)), ready]))
      } else if (data.toString('latin1', 0, 1) === 'Q') {
        socket.write(Buffer.concat([message('C', 'SELECT 0\0'), ready]))
      } else {
        socket.end(shutDown)
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  server.unref()
  return `postgres://ann@127.0.0.1:${server.address().port}/db`
}
JS
cat > pool.mjs <<'JS'
import pg from 'pg'
import { startServer } from './server.mjs'

const [listener] = process.argv.slice(2)
const pool = new pg.Pool({ connectionString: await startServer() })
if (listener) pool.on('error', error => console.log(`error on the pool: ${error.code}`))
await pool.query('select')
await pool.end()
console.log(`the pool has ended: ended ${pool.ended}, connections ${pool.totalCount}`)
JS
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import pg from 'pg'
import { startServer } from './server.mjs'

const run = (...words) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['pool.mjs', ...words], { encoding: 'utf8', timeout: 20_000 })
  return { status, lines: stdout.trim().split('\n'), error: /code: '(\w+)'/.exec(stderr)?.[1] }
}
const seen = { 'without a listener': run(), 'with one': run('listener') }
console.log(seen)
const ended = 'the pool has ended: ended true, connections 0'
assert.deepEqual(seen, {
  'without a listener': { status: 1, lines: [ended], error: '57P01' },
  'with one': { status: 0, lines: [ended, 'error on the pool: 57P01'], error: undefined }
})

const order = []
const client = new pg.Client({ connectionString: await startServer() })
client.on('error', error => order.push(error.code)).on('end', () => order.push('closed'))
await client.connect()
await client.end()
console.log('client.end() alone comes back after:', order)
assert.deepEqual(order, ['57P01', 'closed'])
JS
node probe.mjs
