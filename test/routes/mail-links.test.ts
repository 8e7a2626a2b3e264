import { randomUUID } from 'node:crypto'
import t from 'tap'
import { secretOf, stepAt, totp } from '../helpers/authenticator.js'
import { freshDatabase } from '../helpers/database.js'
import { call } from '../helpers/http-client.js'
import { mailServer } from '../helpers/mail-server.js'
import { nextMail } from '../helpers/mails.js'
import { need } from '../helpers/need.js'
import { startServer } from '../helpers/server-process.js'
import { freshKeys } from '../helpers/settings.js'
import { until } from '../helpers/wait.js'

await need('postgres')
t.setTimeout(120_000)

const server = await mailServer(t)
const db = await freshDatabase(t)
const service = startServer(t, {
  ...freshKeys(),
  LOG_LEVEL: 'trace',
  DATABASE_URL: db.url,
  MAIL_URL: server.url,
  MAIL_FROM: 'Countersign <countersign@example.org>',
  PUBLIC_URL: 'https://app.example.org'
})
const base = await service.ready()
const post = async (path: string, body: object, access: string | null = null) => await call(base, 'POST', path, { body, access })

/** All that is stored, as text. */
async function stored (): Promise<string> {
  const tables = await db.query<{ name: string }>(
    "select quote_ident(relname) as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace")
  const rows = await Promise.all(tables.map(({ name }) => db.query(`select to_jsonb(r)::text as row from ${name} r`)))
  return JSON.stringify(rows)
}

t.test('N5 verify, forget, reset, log in with the code: no token is in a log or a table, and opening a link changes nothing', async (t) => {
  const tokens: string[] = []
  const link = async (path: string) => {
    const { token, text } = await nextMail(server, 'ada@example.org')
    t.ok(text.includes(`https://app.example.org${path}#token=${token}`))
    tokens.push(token!)
    const before = await db.query('select * from account_link')
    const page = await call(base, 'GET', path)
    t.equal(page.status, 200)
    t.equal(page.headers.get('referrer-policy'), 'no-referrer')
    t.same(await db.query('select * from account_link'), before)
    return token!
  }
  const [username, password, next] = ['ada', randomUUID(), randomUUID()]
  t.equal((await post('/users', { username, password, email: 'ada@example.org' })).status, 201)
  const { access } = (await post('/token', { username, password })).json()
  t.equal((await post('/account/email/verify', {}, access)).status, 202)
  const verification = await link('/verify-email')
  t.equal((await post('/account/email/confirm', { token: verification })).status, 204)
  t.equal((await post('/account/email/confirm', { token: verification })).json().code, 'LINK_INVALID')
  const { otpUrl } = (await post('/totp/create', {}, access)).json()
  const step = stepAt(new Date())
  t.equal((await post('/totp/login', { token: totp(secretOf(otpUrl), step) }, access)).status, 200)
  await nextMail(server, 'ada@example.org')

  // Refused for now, so that the mail waits in the outbox with its token.
  server.replies.from = '451 4.3.2 later'
  t.equal((await post('/password/forgot', { username })).status, 202)
  await until('an attempt', async () => (await db.query('select from otp_delivery where attempts > 0')).length === 1)
  const waiting = await stored()
  delete server.replies.from
  await db.query('update otp_delivery set due_at = clock_timestamp()')
  const token = await link('/reset-password')
  t.notOk(waiting.includes(token), 'sealed while it waits')
  t.equal((await post('/password/reset', { token: `${token.slice(1)}A`, next })).json().code, 'LINK_INVALID')
  t.equal((await post('/password/reset', { token, next })).status, 204)
  const again = (await post('/token', { username, password: next })).json()
  t.equal(again.otpRequired, true)
  t.equal((await post('/totp/login', { token: totp(secretOf(otpUrl), step + 1) }, again.access)).status, 200)

  const everything = `${service.said()}${await stored()}`
  t.ok(service.said().length > 1000)
  for (const secret of [...tokens, password, next]) t.notOk(everything.includes(secret))
})
