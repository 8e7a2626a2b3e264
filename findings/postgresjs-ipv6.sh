#!/usr/bin/env bash
# Fact: postgres.js cannot be given an IPv6 address. It splits hosts at each colon: the URL form postgres://u@[::1]:5433/d has the host
#   "[", and the option host: '::1' has an empty one, so it connects to localhost instead.
# Version: postgres 3.4.9; compared with pg-connection-string 2.14.1, which reads the same URL as ::1.
# One would have guessed: the host ::1, since the URL is the standard form (RFC 3986) and libpq's; or an error for the address.
# Why it matters: in a network with IPv6 only, the first form fails with a name look-up of "[", and the second one reaches the server on the
#   same machine, if there is one: the client is not where its configuration says. A name with an AAAA record works.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact postgres@3.4.9 pg-connection-string@2.14.1
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import postgres from 'postgres'
import { parse } from 'pg-connection-string'

const url = 'postgres://u:p@[::1]:5433/d'
// a server on IPv4 alone, which notes that it was called
let called
const server = net.createServer(socket => { called = socket.localAddress; socket.destroy() }).listen(0, '127.0.0.1')
await once(server, 'listening')
const sql = postgres({ host: '::1', port: server.address().port, database: 'd', username: 'u', max: 1, connect_timeout: 5 })
sql`select 1`.catch(() => {})
await once(server, 'connection')
const seen = {
  'pg-connection-string': parse(url).host,
  'postgres.js, URL': postgres(url).options.host,
  'postgres.js, URL, 2001:db8::5': postgres('postgres://u:p@[2001:db8::5]/d').options.host,
  "postgres.js, host: '::1'": `connected to ${called}`
}
console.log(seen)
assert.deepEqual(seen, {
  'pg-connection-string': '::1',
  'postgres.js, URL': ['['],
  'postgres.js, URL, 2001:db8::5': ['[2001'],
  "postgres.js, host: '::1'": 'connected to 127.0.0.1'
})
process.exit()
JS
node probe.mjs
