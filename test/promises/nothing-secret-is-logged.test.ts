import t from 'tap'
import { freshDatabase } from '../helpers/database.js'
import { secretOf, stepAt, totp } from '../helpers/authenticator.js'
import { call } from '../helpers/http-client.js'
import { startServer } from '../helpers/server-process.js'
import { freshDataDir, freshKeys } from '../helpers/settings.js'
import { stores } from '../helpers/stores.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'
import { randomBytes } from 'node:crypto'

/** The service with its most verbose log. With a database server, the connection goes through a proxy that can be cut. */
const { databaseUrl } = await stores()
const db = databaseUrl === undefined ? null : await freshDatabase(t)
const proxy = db && await tcpProxy(t, targetOf(db.url))
const keys = freshKeys()
const service = startServer(t, {
  LOG_LEVEL: 'trace',
  NETWORK_LIMITS: 'off',
  DATA_DIR: await freshDataDir(t),
  ...(db === null ? {} : { DATABASE_URL: proxy!.url(db.url), ...keys })
})
const base = await service.ready()

/** Secrets that must be found nowhere, by name. */
const secrets = new Map<string, string>()
const keep = (what: string, value: string) => { secrets.set(`${what} ${secrets.size}`, value) }
const keepPair = ({ access, refresh }: { access: string, refresh: string }) => {
  for (const token of [access, refresh]) keep('signature of a token', token.split('.')[2]!)
  return access
}

t.test('E3 a whole life, with mistakes and faults', async (t) => {
  const password = `correct-${randomBytes(6).toString('hex')}`
  const wrong = `mistyped-${randomBytes(6).toString('hex')}`
  keep('password', password)
  keep('wrong password', wrong)
  keep('password nobody has', 'zzz-nobody-has-this')
  const login = async (word = password) => await call(base, 'POST', '/token', { body: { username: 'ada', password: word } })

  t.equal((await call(base, 'POST', '/users', { body: { username: 'ada', email: 'ada@example.org', password } })).status, 201)
  t.equal((await call(base, 'POST', '/users', { body: { username: 'ada', email: 'ada@example.org', password } })).status, 409)
  t.equal((await login(wrong)).status, 401)
  t.equal((await call(base, 'POST', '/token', { body: { username: 'nobody', password: 'zzz-nobody-has-this' } })).status, 401)
  let access = keepPair((await login()).json())

  const created = (await call(base, 'POST', '/totp/create', { access, body: { password } })).json()
  const secret = secretOf(created.otpUrl)
  keep('TOTP secret', new URL(created.otpUrl).searchParams.get('secret')!)
  keep('TOTP secret, raw', secret.toString('base64url'))
  keep('TOTP secret, hexadecimal', secret.toString('hex'))
  for (const code of created.recoveryCodes) keep('recovery code', code)
  const step = stepAt(new Date())
  const codes = [-1, 0, 1].map((offset) => totp(secret, step + offset))
  // The time step may change during the test: the window has three steps.
  for (const code of codes) keep('code', `"${code}"`)
  t.equal((await call(base, 'POST', '/totp/login', { access, body: { token: '000000' } })).status, 400)
  const confirmed = await call(base, 'POST', '/totp/login', { access, body: { token: codes[0] } })
  const confirmedWith =
    confirmed.status === 200 ? confirmed : await call(base, 'POST', '/totp/login', { access, body: { token: codes[1] } })
  t.equal(confirmedWith.status, 200)
  access = keepPair(confirmedWith.json())
  const verified = await call(base, 'POST', '/totp/login', { access, body: { token: codes[2] } })
  t.equal(verified.status, 200)
  access = keepPair(verified.json())
  keepPair((await call(base, 'POST', '/token/refresh', { body: { refresh: verified.json().refresh } })).json())

  const other = keepPair((await login()).json())
  t.equal(
    (await call(base, 'POST', '/totp/recovery_code/login', { access: other, body: { token: created.recoveryCodes[0].slice(0, -1) } }))
      .status,
    400
  )
  const recovered = await call(base, 'POST', '/totp/recovery_code/login', { access: other, body: { token: created.recoveryCodes[0] } })
  t.equal(recovered.status, 200)
  const last = keepPair(recovered.json())
  for (const code of (await call(base, 'POST', '/totp/recovery_code/create', { access: last })).json()) keep('new recovery code', code)

  // Malformed, misplaced and too large on purpose: parsers often repeat the text that they could not read.
  const bodies = [
    `{"username":"ada","password":"${password}"`, `{"username":"ada","password":${password}}`,
    `{"username":"a\\u0000","password":"${password}"}`, `{"username":"ada","password":"${password}","${password}":1}`,
    `{"username":["${password}"],"password":"x"}`
  ]
  for (const body of bodies) {
    const answer = await fetch(`${base}/token`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    t.equal(answer.status, 400)
  }
  await call(base, 'GET', `/account?access_token=${last}`)
  await call(base, 'GET', `/totp/status?token=${codes[0]}&password=${password}`, { access: last })
  await call(base, 'GET', `/%zz?password=${password}`)
  await call(base, 'POST', '/token', { body: { username: 'ada', password: password.repeat(1000) } })

  if (proxy !== null) {
    await proxy.cut()
    for (const ask of [
      () => login(),
      () => call(base, 'POST', '/token/refresh', { body: { refresh: recovered.json().refresh } }),
      () => call(base, 'POST', '/totp/login', { access: last, body: { token: codes[2] } }),
      () => call(base, 'POST', '/users', { body: { username: 'bob', email: 'b@example.org', password } })
    ]) {
      t.equal((await ask()).status, 503)
    }
    await proxy.restore()
    await until('it to be back', async () => (await call(base, 'GET', '/readyz')).status === 200)
    // PostgreSQL refuses this statement, and its error contains the row.
    await db!.query('alter table account add constraint nobody check (false) not valid')
    t.equal((await call(base, 'POST', '/users', { body: { username: 'carl', email: 'c@example.org', password } })).status, 500)
    await until('it to be logged', () => /"code":"23514"/.test(service.said()))
  }
})

t.test('E3 no code, secret, token, password in the log', async (t) => {
  t.ok(service.said().split('\n').length > 2, 'there is a log')
  for (const [what, secret] of secrets) t.notOk(service.said().includes(secret), what)
  t.notMatch(service.said(), /argon2id|eyJ[A-Za-z0-9_-]{20}|otpauth:/)
})

t.test('E3 nor in the metrics', async (t) => {
  const { text, status } = await call(base, 'GET', '/metrics')
  t.equal(status, 200)
  t.match(text, /countersign_requests_total/)
  for (const [what, secret] of secrets) t.notOk(text.includes(secret), what)
  t.notMatch(text, /ada|zz/, 'nor a name, nor a path from a client')
})

t.test('E3 nor in an event', { skip: db === null && 'needs PostgreSQL' }, async (t) => {
  const rows = JSON.stringify(await db!.query('select * from otp_event'))
  t.match(rows, /recovery_used/)
  for (const [what, secret] of secrets) t.notOk(rows.includes(secret), what)
})
