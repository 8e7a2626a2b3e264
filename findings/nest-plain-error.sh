#!/usr/bin/env bash
# Fact: NestJS 12 on Fastify answers an Error with statusCode 403, thrown in a Fastify hook, with 500. It keeps the status only if the
#   error also has `status` equal to `statusCode` and a boolean `expose`. NestJS 11 keeps the status of both. Neither of them sends the
#   error's `headers` or its `code`; headers that the hook set on the reply before the throw are sent by both.
# Version: @nestjs/core 12.5.1 with platform-fastify 12.5.0, and 11.2.10 with 11.2.8.
# One would have guessed: statusCode, which is how Fastify and its plugins (@fastify/jwt, @fastify/rate-limit, @fastify/error) name it,
#   is enough, and a new major version does not make 500 of it.
# Why it matters: a plugin of Fastify that refuses a request in Nest: 401, 403 and 429 become 500, alarms ring, and clients without
#   Retry-After or WWW-Authenticate repeat at once.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > probe.mjs <<'JS'
import 'reflect-metadata'
import { Module } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'

const headers = { 'retry-after': '60' }
const errors = {
  statusCode: { statusCode: 403, code: 'NO', headers },
  statusAndExpose: { statusCode: 403, status: 403, expose: true, code: 'NO', headers }
}
class App {}
Module({})(App)
const app = await NestFactory.create(App, new FastifyAdapter(), { logger: false })
const fastify = app.getHttpAdapter().getInstance()
for (const [name, fields] of Object.entries(errors)) {
  const preHandler = async (request, reply) => {
    reply.header('x-before', 'set')
    throw Object.assign(new Error('No.'), fields)
  }
  fastify.get(`/${name}`, { preHandler }, async () => 'open')
}
await app.init()
await fastify.ready()
const seen = {}
for (const name of Object.keys(errors)) {
  const { statusCode, headers, body } = await fastify.inject(`/${name}`)
  seen[name] = [statusCode, headers['retry-after'] ?? null, headers['x-before'], JSON.parse(body).code ?? null]
}
console.log(JSON.stringify(seen))
await app.close()
JS
probe () {
  echo '{ "private": true, "type": "module" }' > package.json
  rm -rf node_modules package-lock.json
  npm install --silent --ignore-scripts --no-audit --no-fund --save-exact "$@" reflect-metadata@0.2.2 rxjs@7.8.2
  npm ls --depth=0
  node probe.mjs | tee seen
  [ "$(cat seen)" = "$expected" ] || { echo "expected: $expected"; exit 1; }
}
expected='{"statusCode":[403,null,"set",null],"statusAndExpose":[403,null,"set",null]}'
probe @nestjs/core@11.2.10 @nestjs/common@11.2.10 @nestjs/platform-fastify@11.2.8
expected='{"statusCode":[500,null,"set",null],"statusAndExpose":[403,null,"set",null]}'
probe @nestjs/core@12.5.1 @nestjs/common@12.5.1 @nestjs/platform-fastify@12.5.0
