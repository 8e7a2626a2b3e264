import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import type { InjectOptions } from 'fastify'
import { buildApp } from '../../src/app.js'
import { readConfig } from '../../src/config/config.js'
import { freshApp } from '../helpers/app.js'
import { faultsOfRefusal } from '../helpers/error-shape.js'
import { expect, signUp } from '../helpers/person.js'
import { rawRequest } from '../helpers/raw-http.js'
import { freshDataDir, freshKeys } from '../helpers/settings.js'
import { freePort } from '../helpers/free-port.js'

const { app } = await freshApp(t)
const ada = await signUp(app)
await ada.enrol()
await app.listen({ port: 0, host: '127.0.0.1' })
const { port } = app.server.address() as AddressInfo
const HOST = `Host: 127.0.0.1:${port}`

t.test('E1 429 of a network, and 503 without a database', async (t) => {
  const { app: limited } = await freshApp(t, { NETWORK_LIMITS: 'on' })
  const answers = await Promise.all(
    Array.from({ length: 31 }, () => limited.inject({ method: 'POST', url: '/token', payload: { username: 'x', password: 'y' } }))
  )
  const refused = answers.filter(({ statusCode }) => statusCode === 429)
  t.ok(refused.length >= 1)
  for (const answer of refused) t.same(faultsOfRefusal(answer), [])

  const cold = await withoutDatabase(t)
  for (const [method, url, payload] of [
    ['POST', '/token', { username: 'x', password: 'y' }],
    ['POST', '/users', { username: 'x', email: 'a@b.c', password: 'correct horse battery' }]
  ] as const) {
    const answer = await cold.inject({ method, url, payload })
    t.equal(answer.statusCode, 503)
    t.equal(answer.json().code, 'UNAVAILABLE')
    t.same(faultsOfRefusal(answer), [])
  }
  t.equal((await cold.inject('/livez')).statusCode, 200)
  const ready = await cold.inject('/readyz')
  t.match(ready, { statusCode: 503, headers: { 'retry-after': /^\d+$/, 'cache-control': 'no-store' } })
  t.match(ready.json(), { statusCode: 503, code: 'UNAVAILABLE', error: 'Service Unavailable', message: String, postgres: 'down' })
})

/** The other tests share one app and run at once, so the slow ones wait while the others send requests. */
t.jobs = 4

t.test('E1 E2 J8 every status, one shape', async (t) => {
  const unverified = ada.elsewhere()
  expect(200, await unverified.login())
  const as = (access: string | null, options: InjectOptions) =>
    app.inject({ ...options, headers: { ...options.headers, authorization: `Bearer ${access}` } })
  const json = { 'content-type': 'application/json' }
  const table: Array<readonly [status: number, code: string, ask: () => ReturnType<typeof as>]> = [
    [400, 'REQUEST_INVALID', async () => await app.inject({ method: 'POST', url: '/token', headers: json, payload: '{' })],
    [400, 'REQUEST_INVALID', async () => await app.inject({ url: '/%zz' })],
    [400, 'REQUEST_INVALID', async () => await app.inject({ url: '/totp/%ff%fe' })],
    [400, 'REQUEST_INVALID', async () => await app.inject({ url: `/account?access_token=${ada.access}` })],
    [401, 'TOKEN_INVALID', async () => await app.inject({ url: '/account' })],
    [401, 'CREDENTIALS_INVALID', async () => await ada.elsewhere().login('wrong')],
    [403, 'OTP_REQUIRED', async () => await unverified.request('GET', '/account')],
    [404, 'NOT_FOUND', async () => await app.inject({ url: '/nothing' })],
    [404, 'NOT_FOUND', async () => await app.inject({ url: '/totp//status' })],
    [404, 'NOT_FOUND', async () => await app.inject({ url: '/TOTP/status' })],
    [404, 'NOT_FOUND', async () => await app.inject({ method: 'TRACE' as 'GET', url: '/totp/status' })],
    [405, 'METHOD_NOT_ALLOWED', async () => await app.inject({ method: 'PUT', url: '/totp/login' })],
    [405, 'METHOD_NOT_ALLOWED', async () => await as(ada.access, { method: 'GET', url: '/totp/login/' })],
    [405, 'METHOD_NOT_ALLOWED', async () => await as(ada.access, { method: 'PATCH', url: '/openapi.json' })],
    [
      409, 'USERNAME_TAKEN',
      async () =>
        await app.inject({ method: 'POST', url: '/users', payload: { username: 'ADA', email: 'a@b.c', password: 'correct horse battery' } })
    ],
    [409, 'OTP_ALREADY_ENABLED', async () => await ada.request('DELETE', '/totp/rollback')],
    [
      413, 'BODY_TOO_LARGE',
      async () => await app.inject({ method: 'POST', url: '/token', headers: json, payload: ' '.repeat(16 * 1024 + 1) })
    ],
    [
      415, 'MEDIA_TYPE_UNSUPPORTED',
      async () => await app.inject({ method: 'POST', url: '/token', payload: 'a=b', headers: { 'content-type': 'text/plain' } })
    ]
  ]
  for (const [status, code, ask] of table) {
    const answer = await ask()
    t.equal(answer.statusCode, status, `${code}: ${answer.body}`)
    t.equal(answer.json().code, code)
    t.same(faultsOfRefusal(answer), [], code)
  }
  for (const [url, allow] of [
    ['/totp/login', 'POST'], ['/totp/create', 'GET, POST'], ['/totp/status', 'GET, HEAD'], ['/totp/delete', 'DELETE']
  ] as const) {
    t.equal((await app.inject({ method: 'PUT', url })).headers.allow, allow)
  }
  for (const token of ['900001', '900002', '900003', '900004', '900005', '900006', '900007']) {
    const locked = await unverified.request('POST', '/totp/login', { token })
    t.same(faultsOfRefusal(locked), [])
    if (token > '900005') t.equal(locked.json().code, 'OTP_LOCKED')
  }
})

t.test('E2 each answer with a token, a code or a secret is no-store and nosniff, and none names the server', async (t) => {
  const grace = await signUp(app, 'grace')
  for (const answer of [
    await grace.login(), await grace.refreshTokens(), await grace.create(), await grace.confirm(),
    await grace.request('POST', '/totp/recovery_code/create'), await grace.request('GET', '/session'),
    await grace.request('GET', '/account'), await grace.request('GET', '/totp/status'), await grace.recover(),
    await app.inject('/livez')
  ]) {
    t.ok(answer.statusCode < 300 || answer.statusCode === 400)
    t.match(answer.headers, { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
    t.notOk('server' in answer.headers || 'x-powered-by' in answer.headers)
  }
})

t.test('E1 E4 malformed HTTP requests, byte by byte', async (t) => {
  const auth = `Authorization: Bearer ${ada.access}`
  const close = 'Connection: close\r\n'
  const get = (path: string, ...headers: string[]) => [`GET ${path} HTTP/1.1`, HOST, ...headers, close, ''].join('\r\n')
  const post = (body: string, ...headers: string[]) =>
    ['POST /token HTTP/1.1', HOST, 'Content-Type: application/json', ...headers, close, body].join('\r\n')
  const table: Array<readonly [what: string, status: number, bytes: string | Buffer]> = [
    ['large headers', 431, get('/livez', `X: ${'x'.repeat(20_000)}`)],
    ['a long address', 431, get(`/${'a'.repeat(20_000)}`)],
    ['two Authorization headers', 400, get('/account', auth, 'Authorization: Bearer x')],
    ['two of them, one spelt otherwise', 400, get('/account', auth, 'AUTHORIZATION: Bearer x')],
    ['two tokens in one header', 401, get('/account', `${auth}, Bearer x`)],
    ['another scheme', 401, get('/account', 'Authorization: Basic YTpi')],
    ['a NUL in a header', 400, get('/account', 'User-Agent: a\0b', auth)],
    ['a header without a name', 400, get('/account', ': x')],
    ['no Host', 400, `GET /livez HTTP/1.1\r\n${close}\r\n`],
    ['garbage', 400, '\x16\x03\x01\x02\x00\r\n\r\n'],
    ['a method that is none', 400, `BREW /token HTTP/1.1\r\n${HOST}\r\n${close}\r\n`],
    ['HTTP/3.7', 400, `GET /livez HTTP/3.7\r\n${HOST}\r\n\r\n`],
    ['a raw space in the path', 400, get('/li vez')],
    ['garbage chunks', 400, post('zz\r\n{}\r\n0\r\n\r\n', 'Transfer-Encoding: chunked')],
    ['length and chunks at once', 400, post('2\r\n{}\r\n0\r\n\r\n', 'Content-Length: 2', 'Transfer-Encoding: chunked')],
    ['two lengths', 400, post('{}', 'Content-Length: 2', 'Content-Length: 3')],
    ['a negative length', 400, post('{}', 'Content-Length: -2')],
    ['a body larger than allowed, announced', 413, post('{', 'Content-Length: 17000')],
    [
      'a body larger than allowed, in chunks', 413,
      post(`${(17_000).toString(16)}\r\n${' '.repeat(17_000)}\r\n0\r\n\r\n`, 'Transfer-Encoding: chunked')
    ],
    ['an expectation that is none', 400, post('{}', 'Content-Length: 2', 'Expect: the-unexpected')],
    ['a CONNECT', 0, `CONNECT example.org:443 HTTP/1.1\r\n${HOST}\r\n\r\n`]
  ]
  for (const [what, status, bytes] of table) {
    const answer = await rawRequest(port, bytes)
    t.equal(answer.statusCode, status, `${what}: ${answer.body.slice(0, 200)}`)
    if (status >= 400) t.same(faultsOfRefusal(answer), [], what)
  }

  const body = JSON.stringify({ username: 'ada', password: ada.password })
  const fine: Array<readonly [what: string, status: number, bytes: string]> = [
    ['HTTP/1.0', 200, 'GET /livez HTTP/1.0\r\n\r\n'],
    ['an absolute address', 200, `GET http://${HOST.slice(6)}/livez HTTP/1.1\r\n${HOST}\r\n${close}\r\n`],
    ['chunks', 200, post(`${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`, 'Transfer-Encoding: chunked')]
  ]
  for (const [what, status, bytes] of fine) t.equal((await rawRequest(port, bytes)).statusCode, status, what)
  t.equal(
    (await rawRequest(port, `GET http://elsewhere.example/account HTTP/1.1\r\n${HOST}\r\n${close}\r\n`)).statusCode,
    401,
    'an absolute address goes through the guard too'
  )
  const expecting = await rawRequest(port, post(body, `Content-Length: ${body.length}`, 'Expect: 100-continue'))
  t.match([expecting.statusCode, expecting.body], [100, /^HTTP\/1.1 200/], 'Expect: 100-continue is told to go on')
})

t.test('O6 E1 slow headers and slow bodies are cut off within ten seconds, and other requests go on', async (t) => {
  const start = `POST /token HTTP/1.1\r\n${HOST}\r\nContent-Type: application/json\r\n`
  const slow = Promise.all([
    rawRequest(port, `GET /livez HTTP/1.1\r\n${HOST}\r\n`, { drip: 'X: y\r\n' }),
    rawRequest(port, `${start}Content-Length: 16000\r\n\r\n{`, { drip: ' ' }),
    rawRequest(port, `${start}Transfer-Encoding: chunked\r\n\r\n`, { drip: '1\r\n \r\n' }),
    rawRequest(port, `${start}Content-Length: 16000\r\n\r\n{`),
    rawRequest(port, 'GET /li')
  ])
  const idle = Array.from({ length: 200 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  t.teardown(() => { for (const socket of idle) socket.destroy() })
  await Promise.all(idle.map((socket) => once(socket, 'connect')))
  t.equal((await rawRequest(port, `GET /livez HTTP/1.1\r\n${HOST}\r\nConnection: close\r\n\r\n`)).statusCode, 200)
  for (const answer of await slow) {
    t.ok(answer.elapsedMs < 11_500, `cut off after ${Math.round(answer.elapsedMs)} ms`)
    t.equal(answer.statusCode, 408)
    t.same(faultsOfRefusal(answer), [])
  }
})

async function withoutDatabase (t: Test) {
  const cold = await buildApp(readConfig({
    DATABASE_URL: `postgres://nobody@127.0.0.1:${await freePort()}/nothing`,
    LOG_LEVEL: 'silent',
    NETWORK_LIMITS: 'off',
    DATA_DIR: await freshDataDir(t),
    ...freshKeys()
  }))
  t.teardown(() => cold.close())
  await cold.ready()
  return cold
}
