import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { mailServer } from '../helpers/mail-server.js'
import { nextMail, verifyAddress } from '../helpers/mails.js'
import { expect, signUp } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

const DAY_SECONDS = 86_400
const server = await mailServer(t)
const { app, db, clock } = await freshApp(t, { MAIL_URL: server.url })

const waiting = async () => (await db.query('select from otp_delivery where destination = $1', ['mail'])).length
const settled = async () => { await until('the outbox to be empty', async () => await waiting() === 0) }

t.test('N1 sign-up, log-in and a second factor mail nothing to an address that is not verified', async (t) => {
  const ada = await signUp(app, 'user1', 'ada@example.org')
  await ada.enrol()
  t.equal((await ada.request('POST', '/password/forgot', { username: ada.username }, null)).statusCode, 202)
  await settled()
  t.same(server.received, [])
})

t.test('one message asks to verify it; its link works once, and notices follow from then on', async (t) => {
  const ada = await signUp(app, 'user2', 'ada@example.org')
  await ada.login()
  t.equal((await ada.request('POST', '/account/email/verify')).statusCode, 202)
  const mail = await nextMail(server, 'ada@example.org')
  t.match(mail.headers, { 'auto-submitted': 'auto-generated', 'message-id': /^<[0-9a-f-]{36}@example\.org>$/, date: /./ })
  t.equal((mail.text.match(/https?:/g) ?? []).length, 1, 'one link')
  t.ok(mail.text.includes(`https://app.example.org/verify-email#token=${mail.token}`))

  const limited = await ada.request('POST', '/account/email/verify')
  t.equal(limited.statusCode, 429, 'once an hour')
  t.ok(limited.json().retryAfterSeconds > 3000)

  const answers = await Promise.all(Array.from({ length: 20 }, async () =>
    (await ada.request('POST', '/account/email/confirm', { token: mail.token! }, null)).statusCode))
  t.same(answers.filter((status) => status === 204).length, 1, 'twenty at once: one')
  t.same(answers.filter((status) => status === 400).length, 19)
  t.ok((await ada.request('GET', '/account')).json().emailVerifiedAt)

  expect(201, await ada.create())
  expect(200, await ada.confirm())
  t.equal((await nextMail(server, 'ada@example.org')).token, null, 'a notice has no link')
})

t.test('N1 three a day for an account and address, five a day to a mailbox from all accounts', async (t) => {
  const email = 'busy@example.org'
  const people = []
  for (let n = 0; n < 3; n++) {
    const person = await signUp(app, `busy${n}`, email)
    await person.login()
    people.push(person)
  }
  const statuses: number[] = []
  for (let hour = 0; hour < 4; hour++) {
    for (const person of people) {
      await person.refreshTokens()
      statuses.push((await person.request('POST', '/account/email/verify')).statusCode)
    }
    await settled()
    await clock.advance(3601)
  }
  t.same(statuses.filter((status) => status === 202).length, 9, 'each account may ask three times')
  t.equal(server.received.filter(({ to }) => to.includes(email)).length, 5, 'but five mails leave')
  await clock.advance(DAY_SECONDS)
  server.received.length = 0
})

t.test('a new address waits until it is verified; the old one gets a link that undoes the change', async (t) => {
  const ada = await signUp(app, 'user3', 'old@example.org')
  await ada.login()
  await verifyAddress(server, ada, 'old@example.org')
  const other = ada.elsewhere()
  await other.login()

  const changed = await ada.request('PATCH', '/account', { email: 'new@example.org' })
  t.match(changed.json(), { email: 'old@example.org', pendingEmail: 'new@example.org' })
  t.equal((await other.request('GET', '/account')).statusCode, 401, 'the other sessions end')
  const undo = await nextMail(server, 'old@example.org')
  t.ok(undo.text.includes('/undo-email-change#token='))

  expect(202, await ada.request('POST', '/account/email/verify'))
  const verify = await nextMail(server, 'new@example.org')
  t.equal((await ada.request('POST', '/account/email/confirm', { token: undo.token! }, null)).statusCode, 400, 'each link has one purpose')
  expect(204, await ada.request('POST', '/account/email/confirm', { token: verify.token! }, null))
  t.match((await ada.request('GET', '/account')).json(), { email: 'new@example.org', pendingEmail: null })

  t.equal((await ada.request('POST', '/account/email/undo', { token: undo.token! }, null)).statusCode, 204)
  t.equal((await ada.request('GET', '/account')).statusCode, 401, 'every session ends')
  t.equal((await ada.request('POST', '/account/email/undo', { token: undo.token! }, null)).statusCode, 400, 'good once')

  expect(202, await ada.request('POST', '/password/forgot', { username: ada.username }, null))
  await settled()
  t.same(server.received, [], 'no link for a new password, to neither address')
  await ada.login()
  t.equal((await ada.request('GET', '/account')).json().email, 'old@example.org')
  expect(202, await ada.request('POST', '/password/forgot', { username: ada.username }, null))
  t.ok((await nextMail(server, 'old@example.org')).token, 'after a log-in there is one again')
})

t.test('a refused address gets nothing more until it is verified again; other faults are tried again', async (t) => {
  const ada = await signUp(app, 'user4', 'gone@example.org')
  await ada.login()
  await verifyAddress(server, ada, 'gone@example.org')
  server.replies.rcpt = '550 5.7.1 relaying denied'
  expect(201, await ada.create())
  expect(200, await ada.confirm())
  await until('a failed attempt', async () =>
    (await db.query('select from otp_delivery where destination = $1 and attempts > 0', ['mail'])).length > 0)
  t.equal(await waiting(), 1, 'a fault of the server is no fault of the address')
  server.replies.rcpt = '550 5.1.1 no such user'
  await clock.advance(10)
  await settled()
  const stopped = async () => (await db.query<{ at: Date | null }>(
    'select email_stopped_at as at from account where username = $1', [ada.username]))[0]!.at
  t.ok(await stopped(), 'stopped')
  delete server.replies.rcpt

  expect(201, await ada.request('POST', '/totp/recovery_code/create'))
  await settled()
  t.same(server.received, [])
  expect(202, await ada.request('POST', '/account/email/verify').then(async (answer) => {
    if (answer.statusCode !== 429) return answer
    await clock.advance(3601)
    await ada.refreshTokens()
    return await ada.request('POST', '/account/email/verify')
  }))
  const { token } = await nextMail(server, 'gone@example.org')
  expect(204, await ada.request('POST', '/account/email/confirm', { token: token! }, null))
  t.equal(await stopped(), null)
})
