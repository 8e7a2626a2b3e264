#!/usr/bin/env bash
# Fact: while the key server cannot be asked, four of seven middlewares answer a good token with 401, as if it were a bad one:
#   express-oauth2-jwt-bearer (with error="invalid_token" and the text of the lost connection), koa-jwt and passport-jwt for each
#   kind of outage, hono's jwk where the connection breaks (500 where the answer is 503). Three others answer 500.
# Version: express-oauth2-jwt-bearer 1.10.0, koa-jwt 4.0.4 and passport-jwt 4.0.1 with jwks-rsa 4.1.0, hono 4.13.19; right:
#   express-jwt 8.5.1 with jwks-rsa, @fastify/jwt 10.2.8 with get-jwks 11.0.3, fastify-jwt-jwks 3.1.2.
# One would have guessed: 5xx. The token was not judged, and RFC 6750 keeps invalid_token for tokens that are expired, revoked or malformed.
# Why it matters: a client takes 401 as the end of its access token: it refreshes, meets 401 again, and logs the user out. An outage of one
#   route for a minute ends the sessions of an app, and alarms on 5xx stay silent.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
echo '{ "private": true, "type": "module" }' > package.json
npm install --silent --ignore-scripts --no-audit --no-fund --save-exact express@5.3.0 express-jwt@8.5.1 express-oauth2-jwt-bearer@1.10.0 \
  koa@3.3.0 koa-jwt@4.0.4 passport@0.7.0 passport-jwt@4.0.1 jwks-rsa@4.1.0 hono@4.13.19 jose@6.2.18 \
  fastify@5.12.8 @fastify/jwt@10.2.8 get-jwks@11.0.3 fastify-jwt-jwks@3.1.2
npm ls --depth=0
cat > probe.mjs <<'JS'
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import fastifyJwt from '@fastify/jwt'
import express from 'express'
import { expressjwt } from 'express-jwt'
import { auth } from 'express-oauth2-jwt-bearer'
import Fastify from 'fastify'
import fastifyJwtJwks from 'fastify-jwt-jwks'
import buildGetJwks from 'get-jwks'
import { Hono } from 'hono'
import { jwk } from 'hono/jwk'
import { SignJWT } from 'jose'
import jwksRsa from 'jwks-rsa'
import Koa from 'koa'
import koaJwt from 'koa-jwt'
import passport from 'passport'
import { ExtractJwt, Strategy } from 'passport-jwt'

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'a', alg: 'RS256', use: 'sig' }]
let state
const keyServer = http.createServer((request, response) => {
  if (state === 'connection lost') return request.socket.destroy()
  response.writeHead(state === 'in order' ? 200 : 503, { 'content-type': 'application/json' })
  response.end(state === 'in order' ? JSON.stringify({ keys }) : '{}')
}).listen(0, '127.0.0.1')
await once(keyServer, 'listening')
const issuer = `http://127.0.0.1:${keyServer.address().port}/`
const jwksUri = `${issuer}.well-known/jwks.json`
const token = await new SignJWT({ sub: 'ann' }).setProtectedHeader({ alg: 'RS256', kid: 'a' })
  .setIssuer(issuer).setAudience('api').setExpirationTime('5m').sign(privateKey)
const headers = { authorization: `Bearer ${token}` }

/** Returns the answer of an Express or Koa application to the token. */
async function askByHttp (app) {
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const response = await fetch(`http://127.0.0.1:${server.address().port}/`, { headers })
  server.close()
  return [response.status, response.headers.get('www-authenticate')]
}
function askExpress (...handlers) {
  const app = express().set('env', 'test')
  app.get('/', ...handlers, (request, response) => response.send('ok'))
  return askByHttp(app)
}
async function askFastify (plugin, options, hook) {
  const app = Fastify()
  await app.register(plugin, options)
  app.get('/', hook(app), () => 'ok')
  const response = await app.inject({ url: '/', headers })
  return [response.statusCode, response.headers['www-authenticate'] ?? null]
}
const middlewares = {
  'express-oauth2-jwt-bearer': () => askExpress(auth({ issuer, jwksUri, audience: 'api', tokenSigningAlg: 'RS256' })),
  'koa-jwt, jwks-rsa': () => {
    const app = new Koa()
    app.silent = true
    app.use(koaJwt({ secret: jwksRsa.koaJwtSecret({ jwksUri }), algorithms: ['RS256'] }))
    return askByHttp(app.use(context => { context.body = 'ok' }))
  },
  'passport-jwt, jwks-rsa': () => {
    const jwtFromRequest = ExtractJwt.fromAuthHeaderAsBearerToken()
    const options = { secretOrKeyProvider: jwksRsa.passportJwtSecret({ jwksUri }), jwtFromRequest }
    const own = new passport.Passport().use(new Strategy(options, (payload, done) => done(null, payload)))
    return askExpress(own.authenticate('jwt', { session: false }))
  },
  'hono, jwk': async () => {
    const app = new Hono().onError((error, context) => error.getResponse?.() ?? context.text('', 500))
    app.get('/', jwk({ jwks_uri: jwksUri, alg: ['RS256'] }), context => context.text('ok'))
    const response = await app.request('/', { headers })
    return [response.status, response.headers.get('www-authenticate')]
  },
  'express-jwt, jwks-rsa': () => askExpress(expressjwt({ secret: jwksRsa.expressJwtSecret({ jwksUri }), algorithms: ['RS256'] })),
  '@fastify/jwt, get-jwks': () => {
    const jwks = buildGetJwks()
    const secret = (request, { header: { kid, alg } }) => jwks.getPublicKey({ kid, alg, domain: issuer })
    return askFastify(fastifyJwt, { decode: { complete: true }, secret }, () => ({ onRequest: request => request.jwtVerify() }))
  },
  'fastify-jwt-jwks': () => {
    return askFastify(fastifyJwtJwks, { jwksUrl: jwksUri, issuer, audience: 'api' }, app => ({ preValidation: app.authenticate }))
  }
}
const seen = {}
for (const [name, ask] of Object.entries(middlewares)) {
  seen[name] = {}
  for (state of ['in order', 'answers 503', 'connection lost']) {
    const [status, challenge] = await ask()
    seen[name][state] = status
    if (name === 'express-oauth2-jwt-bearer' && state === 'connection lost') {
      console.log(name, challenge)
      assert.match(challenge, /error="invalid_token", error_description="socket hang up"/)
    }
  }
}
keyServer.close()
console.table(seen)
const as401 = { 'in order': 200, 'answers 503': 401, 'connection lost': 401 }
const as500 = { 'in order': 200, 'answers 503': 500, 'connection lost': 500 }
assert.deepEqual(seen, {
  'express-oauth2-jwt-bearer': as401,
  'koa-jwt, jwks-rsa': as401,
  'passport-jwt, jwks-rsa': as401,
  'hono, jwk': { ...as401, 'answers 503': 500 },
  'express-jwt, jwks-rsa': as500,
  '@fastify/jwt, get-jwks': as500,
  'fastify-jwt-jwks': as500
})
process.exit()
JS
node --no-deprecation probe.mjs
