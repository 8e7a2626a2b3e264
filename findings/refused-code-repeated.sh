#!/usr/bin/env bash
# Fact: three helpers for repeating requests also repeat a POST that was refused. With their defaults, wretch sends one that got 400, 401 or
#   429 eleven times, retry() of RTK Query six times, superagent.retry(2) the one with 429 three times; none waits for Retry-After.
# Version: wretch 2.11.1, @reduxjs/toolkit 2.15.0, superagent 10.4.2; once in each case: got 14.6.6, ky 1.14.3, axios-retry 4.5.0.
# One would have guessed: repeated are GET and failures that pass, as in the other three; and Retry-After decides when.
# Why it matters: a user's one wrong code or password arrives as six or eleven attempts within half a minute, and locks the account where
#   each counts. A request that was refused for its rate comes again before its time. Exclude POST, or all of 4xx.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact \
  wretch@2.11.1 @reduxjs/toolkit@2.15.0 superagent@10.4.2 got@14.6.6 ky@1.14.3 axios@1.21.1 axios-retry@4.5.0
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { configureStore } from '@reduxjs/toolkit'
import { createApi, fetchBaseQuery, retry } from '@reduxjs/toolkit/query'
import axios from 'axios'
import axiosRetry from 'axios-retry'
import got from 'got'
import ky from 'ky'
import superagent from 'superagent'
import wretch from 'wretch'
import { retry as wretchRetry } from 'wretch/middlewares'

const received = {}
const server = http.createServer((request, response) => {
  const status = Number(request.url.split('/')[2])
  received[request.url] = (received[request.url] ?? 0) + 1
  response.writeHead(status, { 'content-type': 'application/json', ...(status === 429 && { 'retry-after': '60' }) })
  response.end('{"code":"OTP_INVALID"}')
}).listen(0, '127.0.0.1')
await once(server, 'listening')
const base = `http://127.0.0.1:${server.address().port}`
const body = { token: '123456' }

const axiosClient = axios.create()
axiosRetry(axiosClient)
const api = createApi({
  baseQuery: retry(fetchBaseQuery({ baseUrl: base })),
  endpoints: build => ({ verify: build.mutation({ query: url => ({ url, method: 'POST', body }) }) })
})
const store = configureStore({
  reducer: { [api.reducerPath]: api.reducer },
  middleware: defaults => defaults().concat(api.middleware)
})
const clients = {
  wretch: url => wretch(base + url).middlewares([wretchRetry()]).post(body).res(),
  'RTK Query': url => store.dispatch(api.endpoints.verify.initiate(url)).unwrap(),
  superagent: url => superagent.post(base + url).retry(2).send(body),
  got: url => got.post(base + url, { json: body }),
  ky: url => ky.post(base + url, { json: body }),
  'axios-retry': url => axiosClient.post(base + url, body)
}
const seen = {}
const began = performance.now()
// At once: the pauses of wretch alone come to half a minute.
await Promise.all(Object.entries(clients).flatMap(([name, send]) => {
  seen[name] = { 400: 0, 401: 0, 429: 0 }
  return Object.keys(seen[name]).map(async (status) => {
    const url = `/${name.replace(' ', '-')}/${status}`
    await assert.rejects(send(url))
    seen[name][status] = received[url]
  })
}))
server.close()
assert.ok(performance.now() - began < 55_000, 'one of them waits for Retry-After now, which says 60 seconds')
console.log('requests that the server received for one POST:')
console.table(seen)
assert.deepEqual(seen, {
  wretch: { 400: 11, 401: 11, 429: 11 },
  'RTK Query': { 400: 6, 401: 6, 429: 6 },
  superagent: { 400: 1, 401: 1, 429: 3 },
  got: { 400: 1, 401: 1, 429: 1 },
  ky: { 400: 1, 401: 1, 429: 1 },
  'axios-retry': { 400: 1, 401: 1, 429: 1 }
})
process.exit()
JS
node probe.mjs
