import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { emptied } from '../helpers/emptied.js'
import { expect, signUp } from '../helpers/person.js'

const shared = await freshApp(t)

t.test('J6 a step-up logs out neither the tab that took no part nor the one that did', async (t) => {
  const { app, clock } = await emptied(shared)
  const ada = await (await signUp(app)).enrol()
  const otherTab = ada.elsewhere()
  Object.assign(otherTab, { access: ada.access, refresh: ada.refresh })
  await clock.advance(90)
  expect(200, await ada.verify())
  await clock.advance(61)
  t.equal(outcome(await otherTab.refreshTokens()), '200', 'its first refresh, a minute later')
  t.equal(outcome(await ada.refreshTokens()), '200', 'with the pair of the step-up, within the grace')
  t.equal(outcome(await otherTab.request('GET', '/session')), '200')
  t.not(otherTab.claims()['otp_time'], ada.claims()['otp_time'], 'and its proof stays as old as it was')
})

t.test('T9 a preflight says nothing about a session', async (t) => {
  const { app } = await freshApp(t, { CORS_ORIGINS: 'https://app.example.org' })
  const preflight = { origin: 'https://app.example.org', 'access-control-request-method': 'GET' }
  for (const url of ['/session/', '/session/orders']) {
    t.equal(outcome(await app.inject({ method: 'OPTIONS', url, headers: preflight })), '401 TOKEN_INVALID')
  }
  const allowed = await app.inject({ method: 'OPTIONS', url: '/token', headers: preflight })
  t.match(allowed, { statusCode: 204, headers: { 'access-control-allow-origin': 'https://app.example.org' } })
  const odd = await app.inject({ method: 'OPTIONS', url: '/token' })
  t.not(odd.headers['content-type'], 'text/plain; charset=utf-8', 'and a question that is none is not answered in another shape')
})

t.test('E4 an operation that takes no body refuses one', async (t) => {
  const { app } = await emptied(shared)
  const ada = await (await signUp(app)).enrol()
  for (const [method, url] of [
    ['POST', '/totp/recovery_code/create'], ['DELETE', '/totp/delete'], ['DELETE', '/totp/rollback'], ['POST', '/token/revoke']
  ] as const) {
    t.equal(outcome(await ada.request(method, url, { nonsense: 1 })), '400 REQUEST_INVALID', url)
    t.equal(outcome(await ada.request(method, url, [1, 2])), '400 REQUEST_INVALID', url)
  }
  t.equal(outcome(await ada.request('GET', '/session')), '200', 'and nothing was done')
})

t.test('E4 a username is checked as it is kept', async (t) => {
  const { app } = await emptied(shared)
  const signUpAs = (username: string) =>
    app.inject({ method: 'POST', url: '/users', payload: { username, email: 'a@example.org', password: 'no common word at all' } })
  t.equal(outcome(await signUpAs('\uFDFA'.repeat(40))), '400 REQUEST_INVALID', 'forty characters that become 720, with spaces')
  t.equal((await signUpAs('\uFF41\uFF44\uFF41')).json().username, 'ada')
})
