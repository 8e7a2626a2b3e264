#!/usr/bin/env bash
# Fact: ioredis-mock takes conditions and options of Redis that it does not know, and answers as if they were done: EXPIRE … NX and GT set
#   each time, KEEPTTL loses the expiry, and of `set(key, value, 'ex', 10, 'nx')` in small letters nothing is left, neither expiry nor NX.
# Version: ioredis-mock 8.13.1 with ioredis 5.9.2; against redis-server 7.0.15 of Debian 12.
# One would have guessed: an error for an option that the stand-in has not got, as it gives for a command that it has not got.
# Why it matters: in tests alone, the window of a rate limit by EXPIRE NX begins again with each request, a lock by 'nx' is given to all,
#   and a counter under KEEPTTL never ends. Right code fails there, and code that forgot the option passes.
set -euo pipefail
dir=$(mktemp -d)
redis=
trap '[[ -z $redis ]] || kill "$redis"; rm -rf "$dir"' EXIT
cd "$dir"
apt-get download -qq -o APT::Sandbox::User=root redis-server redis-tools \
  libjemalloc2 liblua5.1-0 liblzf1 libatomic1 lua-cjson lua-bitop libsystemd0
for package in ./*.deb; do dpkg -x "$package" root; done
ls ./redis*.deb
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact ioredis@5.9.2 ioredis-mock@8.13.1
npm ls --depth=0
libraries=$dir/root/usr/lib/$(uname -m)-linux-gnu
LD_LIBRARY_PATH=$libraries:$dir/root/lib/$(uname -m)-linux-gnu \
  root/usr/bin/redis-server --port 0 --unixsocket "$dir/redis.sock" --save '' > redis.log 2>&1 &
redis=$!
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import Redis from 'ioredis'
import Mock from 'ioredis-mock'

const stores = { redis: new Redis({ path: process.argv[2], retryStrategy: () => 50 }), mock: new Mock() }
const runs = {
  'set EX 10 NX': [['set', 'k', 'a', 'EX', 10, 'NX'], ['set', 'k', 'b', 'EX', 10, 'NX'], ['get', 'k'], ['ttl', 'k']],
  'set ex 10 nx': [['set', 'k', 'a', 'ex', 10, 'nx'], ['set', 'k', 'b', 'ex', 10, 'nx'], ['get', 'k'], ['ttl', 'k']],
  'expire NX': [['set', 'k', 'a'], ['expire', 'k', 10, 'NX'], ['expire', 'k', 20, 'NX'], ['ttl', 'k']],
  'expire GT': [['set', 'k', 'a', 'EX', 100], ['expire', 'k', 20, 'GT'], ['ttl', 'k']],
  'set KEEPTTL': [['set', 'k', 'a', 'EX', 100], ['set', 'k', 'b', 'KEEPTTL'], ['ttl', 'k']],
  'incr of a text': [['set', 'k', 'abc'], ['incr', 'k']]
}
const seen = {}
for (const [name, commands] of Object.entries(runs)) {
  seen[name] = {}
  for (const [store, client] of Object.entries(stores)) {
    await client.flushall()
    const answers = []
    for (const [command, ...words] of commands) answers.push(await client[command](...words).catch(() => 'error'))
    seen[name][store] = answers.join(' ')
  }
}
for (const client of Object.values(stores)) client.disconnect()
console.table(seen)
assert.deepEqual(seen, {
  'set EX 10 NX': { redis: 'OK  a 10', mock: 'OK  a 10' },
  'set ex 10 nx': { redis: 'OK  a 10', mock: 'OK OK b -1' },
  'expire NX': { redis: 'OK 1 0 10', mock: 'OK 1 1 20' },
  'expire GT': { redis: 'OK 0 100', mock: 'OK 1 20' },
  'set KEEPTTL': { redis: 'OK OK 100', mock: 'OK OK -1' },
  'incr of a text': { redis: 'OK error', mock: 'OK NaN' }
})
JS
node --no-deprecation probe.mjs "$dir/redis.sock"
