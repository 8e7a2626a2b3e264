import { randomUUID } from 'node:crypto'
import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { mailServer } from '../helpers/mail-server.js'
import { nextMail, verifyAddress } from '../helpers/mails.js'
import { need } from '../helpers/need.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

await need('postgres')
const server = await mailServer(t)
const { app, db, clock, another } = await freshApp(t, { MAIL_URL: server.url, OTP_PENDING_SECONDS: '3000' })
const replica = await another()

const settled = async () => {
  await until('the outbox to be empty', async () => (await db.query('select from otp_delivery where destination = \'mail\'')).length === 0)
}
const forget = async (person: Person) => expect(202, await person.request('POST', '/password/forgot', { username: person.username }, null))
const reset = async (person: Person, token: string, next: string) => await person.request('POST', '/password/reset', { token, next }, null)

/** Signs up a user with a verified address; notices of what follows are not waited for. */
async function verified (name: string): Promise<Person> {
  const person = await signUp(app, name)
  await person.login()
  await verifyAddress(server, person, `${name}@example.org`)
  return person
}

async function linkOf (person: Person): Promise<string> {
  await forget(person)
  for (;;) {
    const { token } = await nextMail(server, `${person.username}@example.org`)
    if (token !== null) return token
  }
}

t.test('N2 the link sets a password once; sessions end, none starts, and the second factor is asked for', async (t) => {
  const ada = await verified('ada')
  expect(201, await ada.create())
  expect(200, await ada.confirm())
  const token = await linkOf(ada)
  const next = randomUUID()
  const answers = await Promise.all(Array.from({ length: 50 }, (_, n) =>
    (n % 2 === 0 ? ada : ada.elsewhere(replica)).request('POST', '/password/reset', { token, next }, null)))
  t.equal(answers.filter(({ statusCode }) => statusCode === 204).length, 1, 'fifty at once over two replicas: one')
  t.ok(answers.every(({ statusCode }) => [204, 400, 503].includes(statusCode)))
  t.ok(answers.filter(({ statusCode }) => statusCode === 400).every((answer) => answer.json().code === 'LINK_INVALID'))
  t.equal((await ada.request('GET', '/account')).statusCode, 401)
  t.equal((await ada.login()).statusCode, 401, 'the old password is refused')
  const logIn = await ada.login(next)
  t.match(logIn.json(), { otpRequired: true })
  t.equal((await ada.request('GET', '/account')).json().code, 'OTP_REQUIRED')
  t.equal((await ada.verify()).statusCode, 200)
})

t.test('a link that is used leaves the links of others', async (t) => {
  const [one, other] = [await verified('one'), await verified('other')]
  const [token, otherToken] = [await linkOf(one), await linkOf(other)]
  t.equal((await reset(one, token, randomUUID())).statusCode, 204)
  t.equal((await reset(other, otherToken, randomUUID())).statusCode, 204)
})

t.test('locks and budgets of the second factor stay', async (t) => {
  const ada = await verified('bob')
  expect(201, await ada.create())
  expect(200, await ada.confirm())
  const thief = ada.elsewhere()
  await thief.login()
  for (let n = 0; n < 6; n++) await thief.verify(String(100_000 + n))
  t.equal((await thief.verify('100010')).json().code, 'OTP_LOCKED')
  const token = await linkOf(ada)
  const next = randomUUID()
  t.equal((await reset(ada, token, next)).statusCode, 204)
  await thief.login(next)
  t.equal((await thief.verify('100011')).json().code, 'OTP_LOCKED')
})

t.test('three links at most; an unacceptable password uses none up; each ends after half an hour', async (t) => {
  const ada = await verified('cora')
  const tokens: string[] = []
  for (let n = 0; n < 3; n++) tokens.push(await linkOf(ada))
  await Promise.all(Array.from({ length: 10 }, () => forget(ada)))
  await settled()
  t.same(server.received.filter(({ to, token }) => to.includes('cora@example.org') && token !== null), [], 'no fourth')
  t.equal((await reset(ada, tokens[0]!, 'short')).json().code, 'PASSWORD_UNACCEPTABLE')
  t.equal((await reset(ada, tokens[0]!, ada.username)).json().code, 'PASSWORD_UNACCEPTABLE')
  await clock.advance(1801)
  t.equal((await reset(ada, tokens[0]!, randomUUID())).json().code, 'LINK_INVALID')
  const token = await linkOf(ada)
  t.equal((await reset(ada, token, randomUUID())).statusCode, 204)
})

t.test('a verified session, another password, another address and deactivation end the links', async (t) => {
  const ends: Record<string, (person: Person) => Promise<unknown>> = {
    'a verified session': async (person) => {
      expect(201, await person.create())
      expect(200, await person.confirm())
    },
    'another password': async (person) =>
      expect(200, await person.request('POST', '/account/password', { current: person.password, next: randomUUID() })),
    'another address': async (person) =>
      expect(200, await person.request('PATCH', '/account', { email: `x${person.username}@example.org` })),
    deactivation: async (person) => await db.query('update account set is_active = false where username = $1', [person.username])
  }
  for (const [n, [name, end]] of Object.entries(ends).entries()) {
    const person = await verified(`dan${n}`)
    const token = await linkOf(person)
    await end(person)
    t.equal((await reset(person, token, randomUUID())).json().code, 'LINK_INVALID', name)
  }
})

t.test('a member of staff without a second factor gets no link', async (t) => {
  const ada = await verified('erin')
  await db.query('update account set is_staff = true where username = \'erin\'')
  await forget(ada)
  const mail = await nextMail(server, 'erin@example.org')
  t.equal(mail.token, null)
})

t.test('N3 existing and absent names get the same answer', async (t) => {
  const ada = await verified('fay')
  const known = await forget(ada)
  const unknown = await ada.request('POST', '/password/forgot', { username: 'nobody-of-that-name' }, null)
  t.equal(unknown.statusCode, 202)
  t.equal(unknown.body, known.body)
  await settled()
})
