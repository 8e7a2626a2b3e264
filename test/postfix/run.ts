/**
 * Sends the mails of the service through Debian's Postfix, over STARTTLS with an authority of our own, into a Maildir: an address is
 * verified, a forgotten password is reset, and the user logs in with the code. Not part of `npm test`; `.ci/run --all` runs it.
 *
 *   node build/test/postfix/run.js      as root; DATABASE_URL, or PostgreSQL on 127.0.0.1:5432
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { secretOf, stepAt, totp } from '../helpers/authenticator.js'
import { command } from '../helpers/command.js'
import { emptyDatabase, onServer } from '../helpers/database.js'
import { call } from '../helpers/http-client.js'
import { startServer } from '../helpers/server-process.js'
import { freshKeys } from '../helpers/settings.js'
import { stores } from '../helpers/stores.js'
import { createOwner } from '../helpers/teardown.js'
import { until } from '../helpers/wait.js'
import { startPostfix } from './server.js'

const { databaseUrl } = await stores()
if (databaseUrl === undefined) throw new Error('needs PostgreSQL')
const owner = createOwner()
try {
  const postfix = await startPostfix(owner, ['ada'])
  const settings = {
    ...freshKeys(),
    DATABASE_URL: await emptyDatabase(owner, databaseUrl),
    MAIL_URL: postfix.url,
    MAIL_FROM: 'Countersign <countersign@example.net>',
    PUBLIC_URL: 'https://app.example.org'
  }
  const trusting = { ...settings, NODE_EXTRA_CA_CERTS: postfix.caFile }

  // An authority that is not known gets no mail, nor does plain text: Postfix refuses it.
  const untrusted = await command(['mail', 'test', 'ada@example.org'], settings)
  assert.equal(untrusted.code, 1, untrusted.stdout)
  assert.equal((await command(['mail', 'test', 'ada@example.org'], trusting)).code, 0)
  const { raw } = await postfix.next('ada')
  assert.match(raw, /using TLSv1\.[23] with cipher/)
  assert.match(raw, /^Auto-Submitted: auto-generated\r?$/m)
  assert.equal(await postfix.waiting('ada'), 0, 'of the first one nothing arrived')
  const unknown = await command(['mail', 'test', 'eve@example.org'], trusting)
  assert.match(unknown.stderr, /550 5\.1\.1/)

  const base = await startServer(owner, trusting).ready()
  const post = async (status: number, path: string, body: object = {}, access: string | null = null): Promise<Record<string, string>> => {
    const answer = await call(base, 'POST', path, { body, access })
    assert.equal(answer.status, status, `${path}: ${answer.text}`)
    return answer.text === '' ? {} : answer.json()
  }
  const linkTo = async (path: string) => {
    const { text } = await postfix.next('ada')
    const [, token] = new RegExp(`https://app\\.example\\.org${path}#token=([A-Za-z0-9_-]{43})$`, 'm').exec(text) ?? []
    assert.ok(token, text)
    return token
  }
  const [username, password, next] = ['ada', randomUUID(), randomUUID()]
  await post(201, '/users', { username, password, email: 'ada@example.org' })
  const { access = '' } = await post(200, '/token', { username, password })
  await post(202, '/account/email/verify', {}, access)
  await post(204, '/account/email/confirm', { token: await linkTo('/verify-email') })
  const { otpUrl = '' } = await post(201, '/totp/create', {}, access)
  const step = stepAt(new Date())
  await post(200, '/totp/login', { token: totp(secretOf(otpUrl), step) }, access)
  assert.match((await postfix.next('ada')).text, /UTC/, 'the notice that it was switched on')
  await post(202, '/password/forgot', { username })
  await post(204, '/password/reset', { token: await linkTo('/reset-password'), next })
  assert.match((await postfix.next('ada')).text, /UTC/, 'the notice of the new password')
  await post(401, '/token', { username, password })
  const again = await post(200, '/token', { username, password: next })
  await post(200, '/totp/login', { token: totp(secretOf(otpUrl), step + 1) }, again['access'])
  await until('the outbox to be empty', async () =>
    (await onServer(settings.DATABASE_URL, 'select from otp_delivery')).length === 0)
  assert.equal(await postfix.waiting('ada'), 0)
  console.log('ok: Postfix delivered five mails over STARTTLS')
} finally {
  await owner.end()
}
