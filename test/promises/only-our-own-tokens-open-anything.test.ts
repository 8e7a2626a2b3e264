import { generateKeyPairSync } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { LightMyRequestResponse } from 'fastify'
import { freshApp, type App } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { forge, hmac, opened, unsigned, type Fields } from '../helpers/jws.js'
import { operationsOf } from '../helpers/operations.js'
import { expect, signUp } from '../helpers/person.js'
import { rawRequest } from '../helpers/raw-http.js'

const shared = await freshApp(t)

/** The key that signs, from `kid:base64url`. */
const keyOf = (settings: Record<string, string>) => Buffer.from(settings['JWT_KEYS']!.split(':')[1]!, 'base64url')

const asBearer = async (app: App, token: string, url = '/session') =>
  await app.inject({ url, headers: { authorization: `Bearer ${token}` } })
const asRefresh = async (app: App, refresh: string) => await app.inject({ method: 'POST', url: '/token/refresh', payload: { refresh } })

/** RFC 6750 §3: each 401 has the challenge. */
function isRefused (answer: LightMyRequestResponse, code = 'TOKEN_INVALID'): boolean {
  return (
    answer.statusCode === 401 &&
    answer.json<{ code: string }>().code === code &&
    String(answer.headers['www-authenticate']).startsWith('Bearer')
  )
}

t.test('J1 J2 forged tokens, at the guard, at a route with a table behind it and at refresh', async (t) => {
  const { app, settings } = await emptied(shared)
  const ada = await signUp(app)
  expect(200, await ada.login())
  const right = hmac(keyOf(settings))
  const now = Math.floor(Date.now() / 1000)

  for (const [token, ask] of [[ada.access!, asBearer], [ada.refresh!, asRefresh]] as const) {
    const { header, payload } = opened(token)
    const claiming = (claims: Fields) => forge(header, { ...payload, ...claims }, right)
    const [h = '', p = '', s = ''] = token.split('.')
    const forged = {
      none: forge({ ...header, alg: 'none' }, payload, unsigned),
      HS512: forge({ ...header, alg: 'HS512' }, payload, hmac(keyOf(settings), 'sha512')),
      'unknown kid': forge({ ...header, kid: 'other' }, payload, right),
      crit: forge({ ...header, crit: ['exp'] }, payload, right),
      'array payload': forge(header, [payload], right),
      'empty signature': `${h}.${p}.`,
      'two parts': `${h}.${p}`,
      'another signature': `${h}.${p}.${s.split('').reverse().join('')}`,
      huge: `${h}.${'A'.repeat(3000)}.${s}`,
      'another issuer': claiming({ iss: 'another deployment' }),
      'another audience': claiming({ aud: 'another deployment' }),
      'from the future': claiming({ iat: now + 90, exp: now + 120 }),
      expired: claiming({ iat: now - 900, exp: now - 600 }),
      ...Object.fromEntries(['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp', 'token_type'].map((claim) =>
        [`without ${claim}`, claiming({ [claim]: undefined })]))
    }
    for (const [what, forgery] of Object.entries(forged)) t.ok(isRefused(await ask(app, forgery)), `${ask.name}: ${what}`)
    for (const claims of [{ sid: '00000000-0000-4000-8000-000000000000' }, { sub: '00000000-0000-4000-8000-000000000000' }]) {
      t.ok(
        isRefused(await ask(app, claiming(claims)), 'SESSION_ENDED'),
        `${ask.name}: ${Object.keys(claims)[0]} of no user, signed correctly`
      )
    }
    t.equal((await ask(app, claiming({ iat: now + 30 }))).statusCode, 200, 'a clock half a minute ahead is no forgery')
  }
})

t.test('J1 an access token does not refresh, a refresh token is no bearer', async (t) => {
  const { app } = await emptied(shared)
  const ada = await signUp(app)
  expect(200, await ada.login())
  t.ok(isRefused(await asRefresh(app, ada.access!)))
  for (const url of ['/session', '/totp/status', '/account']) t.ok(isRefused(await asBearer(app, ada.refresh!, url)), url)
  t.equal((await asBearer(app, ada.access!)).statusCode, 200, 'and neither ended the session')
  t.equal((await asRefresh(app, ada.refresh!)).statusCode, 200)
})

t.test('J1 J9 EdDSA: the JWKS is enough to verify, not to sign', async (t) => {
  const { app, settings } = await freshApp(t, { JWT_ALG: 'EdDSA' })
  const ada = await signUp(app)
  expect(200, await ada.login())
  const { header, payload } = opened(ada.access!)
  const { keys } = (await app.inject({ url: '/.well-known/jwks.json' })).json<{ keys: Array<{ kid: string, x: string }> }>()
  const [key] = keys
  t.equal(key?.kid, header['kid'])
  t.notMatch(settings['JWT_KEYS'], key!.x)
  for (const alg of ['HS256', 'EdDSA']) {
    for (const secret of [key!.x, Buffer.from(key!.x, 'base64url'), JSON.stringify(key)]) {
      t.ok(isRefused(await asBearer(app, forge({ ...header, alg }, payload, hmac(secret)))))
    }
  }
  const jwk = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
  t.ok(isRefused(await asBearer(app, forge({ ...header, jwk }, payload, unsigned))))
  t.equal((await asBearer(app, ada.access!)).statusCode, 200)
})

t.test('J8 every guarded operation of the document: without a token 401 and the challenge', async (t) => {
  const { app } = await emptied(shared)
  const guarded = operationsOf(app).filter(({ isGuarded }) => isGuarded)
  t.ok(guarded.length > 8)
  for (const { id, method, url, body } of guarded) {
    for (const headers of [{}, { authorization: '' }, { authorization: 'Bearer' }, { authorization: 'Bearer not-a-token' }]) {
      t.ok(
        isRefused(await app.inject({ method, url, headers, ...(body === undefined ? {} : { payload: body }) })),
        `${id} ${JSON.stringify(headers)}`
      )
    }
  }
  const wrong = await app.inject({ method: 'POST', url: '/token', payload: { username: 'ada', password: 'wrong' } })
  t.ok(isRefused(wrong, 'CREDENTIALS_INVALID'))
})

t.test('J8 the token stands in one Authorization header and nowhere else', async (t) => {
  const { app } = await emptied(shared)
  const ada = await signUp(app)
  expect(200, await ada.login())
  const token = ada.access!
  const status = async (headers: Record<string, string>, url = '/session') => (await app.inject({ url, headers })).statusCode

  for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
    t.equal(await status({ authorization: `${scheme} ${token}` }), 200, 'schemes have no case')
  }
  for (const scheme of ['Basic', 'Token', 'JWT', 'DPoP', 'Bearer Bearer', 'Bearer,']) {
    t.equal(await status({ authorization: `${scheme} ${token}` }), 401, scheme)
  }
  for (const text of [
    token, `Bearer${token}`, `Bearer ${token} x`, `Bearer ${token},Bearer ${token}`, `Bearer "${token}"`,
    `Basic ${Buffer.from(`ada:${ada.password}`).toString('base64')}`
  ]) {
    t.equal(await status({ authorization: text }), 401, text.slice(0, 12))
  }
  t.equal(await status({}, `/session?access_token=${token}`), 400, 'in the query')
  t.equal(await status({ authorization: `Bearer ${token}` }, `/session?access_token=${token}`), 400, 'in both')
  t.equal(await status({ 'x-access-token': token, cookie: `access_token=${token}; token=${token}` }), 401)
  const form = await app.inject({
    method: 'POST',
    url: '/token/revoke',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: `access_token=${token}`
  })
  t.ok([401, 415].includes(form.statusCode), 'in a form')

  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const raw = async (...authorization: string[]) => {
    const headers = ['Host: x', 'Connection: close', ...authorization.map((value) => `Authorization: ${value}`)]
    return (await rawRequest(port, `GET /session HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`)).statusCode
  }
  t.equal(await raw(`Bearer ${token}`), 200)
  t.equal(await raw(`Bearer ${token}`, `Bearer ${token}`), 400, 'twice the same')
  t.equal(await raw(`Bearer ${token}`, 'Bearer other'), 400)
  t.equal(await raw('Bearer other', `Bearer ${token}`), 400)
  t.equal(await raw('', `Bearer ${token}`), 400)
})
