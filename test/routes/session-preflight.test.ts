import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { expect, signUp } from '../helpers/person.js'

const ORIGIN = 'https://app.example'
const { app } = await freshApp(t, { CORS_ORIGINS: `${ORIGIN},https://other.example` })
const ada = await signUp(app)
expect(200, await ada.login())

const preflight = (url: string, headers: Record<string, string> = {}) => app.inject({
  method: 'OPTIONS',
  url,
  headers: { origin: ORIGIN, 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization', ...headers }
})

t.test('L3 a page of an allowed origin may ask GET /session: its preflight is answered, and nothing in it names a user', async (t) => {
  for (const url of ['/session', '/session?required', '/session?maxAge=60']) {
    const answer = await preflight(url, { authorization: `Bearer ${ada.access}` })
    t.equal(answer.statusCode, 204, url)
    t.equal(answer.headers['access-control-allow-origin'], ORIGIN)
    t.match(answer.headers['access-control-allow-headers'], /authorization/i)
    t.same(Object.keys(answer.headers).filter((name) => /^x-(user|session|otp)/.test(name)), [])
    t.equal(answer.body, '')
  }
  const answer = await app.inject({ url: '/session', headers: { origin: ORIGIN, authorization: `Bearer ${ada.access}` } })
  t.equal(answer.statusCode, 200)
  t.equal(answer.headers['access-control-allow-origin'], ORIGIN)
})

t.test('L3 any other OPTIONS is a question to the guard, never a preflight', async (t) => {
  for (const [url, headers] of [
    ['/session/', {}], ['/session/x', {}], ['/sess%69on', {}], ['/session/?maxAge=9999', {}],
    ['/session', { origin: 'https://evil.example' }], ['/session', { origin: '' }], ['/session', { origin: 'null' }],
    ['/session', { origin: `${ORIGIN}/` }], ['/session', { origin: `${ORIGIN}.evil.example` }],
    ['/session', { 'access-control-request-method': 'POST' }], ['/session', { 'access-control-request-method': 'get' }],
    ['/session', { 'access-control-request-method': '' }]
  ] as Array<[string, Record<string, string>]>) {
    const what = `${url} ${JSON.stringify(headers)}`
    const refused = await preflight(url, headers)
    t.equal(refused.statusCode, 401, what)
    t.equal(refused.headers['x-refusal'], 'TOKEN_INVALID', what)
    const accepted = await preflight(url, { ...headers, authorization: `Bearer ${ada.access}` })
    t.equal(accepted.statusCode, 200, what)
    t.equal(accepted.headers['x-user-id'], ada.claims()['sub'], what)
  }
  const closed = (await freshApp(t)).app
  const headers = { origin: ORIGIN, 'access-control-request-method': 'GET' }
  const answer = await closed.inject({ method: 'OPTIONS', url: '/session', headers })
  t.equal(answer.statusCode, 401, 'without CORS_ORIGINS')
})

t.test('a page may read the code, the challenge, the wait and the id of a refusal', async (t) => {
  const answer = await app.inject({ url: '/session', headers: { origin: ORIGIN } })
  t.match(answer, { statusCode: 401, headers: { 'x-refusal': 'TOKEN_INVALID', 'www-authenticate': 'Bearer error="invalid_token"' } })
  t.same(String(answer.headers['access-control-expose-headers']).toLowerCase().split(', ').sort(),
    ['retry-after', 'www-authenticate', 'x-refusal', 'x-request-id'])
})
