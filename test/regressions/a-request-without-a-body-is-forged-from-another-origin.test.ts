import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, signUp, userId } from '../helpers/person.js'

/*
 * A browser sends a POST without a body to any origin, with cookies and without a preflight, since there is no Content-Type.
 * The routes read it as `{}`. A page of another origin could make new recovery codes, which made the printed ones invalid and
 * ended the other sessions, and could replace the codes of a pending set-up while the user still saw the old ones.
 */

await need('postgres')
const { app, db } = await freshHost(t)
const codes = async (id: string) => await db.query('select digest from otp_recovery_code where user_id = $1 order by digest', [id])

/** Headers that a browser sends beside the cookie for a page of another origin. */
const forged: ReadonlyArray<Record<string, string>> = [
  { 'sec-fetch-site': 'cross-site', origin: 'https://elsewhere.example' },
  { 'sec-fetch-site': 'same-site', origin: 'https://another.example.org' },
  { 'sec-fetch-site': 'cross-site', origin: 'null', 'content-length': '0' },
  { 'sec-fetch-site': 'cross-site', authorization: 'Basic YTpi' },
  // Browsers older than 2023, and any browser without TLS.
  { origin: 'https://elsewhere.example' },
  { origin: 'null' }
]
const own: ReadonlyArray<Record<string, string>> = [
  {},
  { 'sec-fetch-site': 'same-origin', origin: 'http://localhost:80' },
  { 'sec-fetch-site': 'none' },
  { origin: 'http://localhost' },
  // Makes the browser send a preflight, which the host's CORS answers.
  { 'sec-fetch-site': 'cross-site', origin: 'https://elsewhere.example', 'content-type': 'application/json' },
  { 'sec-fetch-site': 'cross-site', origin: 'https://elsewhere.example', authorization: 'Bearer abc' }
]

t.test('T7 R3 a page of another origin changes nothing with a request that has no body', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const bob = await signUp(app, 'bob')
  expect(200, await bob.login())
  expect(201, await bob.create())
  const before = [await codes(userId(ada)), await codes(userId(bob))]
  const send = async (person: typeof ada, url: string, headers: Record<string, string>) =>
    outcome(await app.inject({ method: 'POST', url, headers: { host: 'localhost', ...headers, cookie: `host=${person.access}` } }))
  for (const headers of forged) {
    t.equal(await send(ada, '/app/2fa/recovery_code/create', headers), '415 MEDIA_TYPE_UNSUPPORTED', JSON.stringify(headers))
    t.equal(await send(bob, '/app/2fa/create', headers), '415 MEDIA_TYPE_UNSUPPORTED', JSON.stringify(headers))
  }
  t.same([await codes(userId(ada)), await codes(userId(bob))], before)
  for (const headers of own) t.equal(await send(bob, '/app/2fa/create', headers), '201', JSON.stringify(headers))
  t.equal(await send(ada, '/app/2fa/recovery_code/create', { 'sec-fetch-site': 'same-origin' }), '201')
})
