import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshHost } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp } from '../helpers/person.js'

await need('postgres')
const told: string[] = []
const { app: first, db, clock, anotherHost } = await freshHost(t)
const app = await anotherHost({ onSecurityEvent: ({ kind }) => { told.push(kind) } })

const changes = [['POST', '/totp/create'], ['POST', '/totp/recovery_code/create'], ['DELETE', '/totp/delete']] as const

t.test('T8 a host\'s users change nothing without a fresh proof', async (t) => {
  const ada = await signUp(app, 'ada')
  expect(200, await ada.login())
  await clock.advance(301)
  t.equal(outcome(await ada.create()), '403 REAUTH_REQUIRED', 'the password is too old')
  t.equal(outcome(await ada.create({ password: 'another' })), '403 REAUTH_REQUIRED')
  expect(201, await ada.create({ password: ada.password }))
  expect(200, await ada.confirm())
  const [unverified] = await sessionsOf(ada, 1)
  for (const [method, url] of changes) t.equal(outcome(await unverified!.request(method, url)), '403 OTP_REQUIRED', url)
  await clock.advance(301)
  for (const [method, url] of changes) t.equal(outcome(await ada.request(method, url)), '403 OTP_STALE', url)
  expect(200, await ada.verify())
  expect(201, await ada.request('POST', '/totp/recovery_code/create'))
  expect(200, await ada.request('DELETE', '/totp/delete'))
})

t.test('T7 a GET changes nothing at a host, and a form or plain text from another origin is no request', async (t) => {
  const bob = await signUp(app, 'bob')
  expect(200, await bob.login())
  t.equal((await bob.request('GET', '/totp/create')).statusCode, 404)
  for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x']) {
    const answer = await app.inject({ method: 'POST', url: '/app/2fa/create', headers: { cookie: `host=${bob.access}`, 'content-type': type, origin: 'https://elsewhere.example' }, payload: 'name=x' })
    t.equal(answer.statusCode, 415, type)
  }
  t.same(await db.query('select from otp_device where user_id = $1', [String(bob.claims()['sub'])]), [])
})

t.test('T6 a host\'s secrets are sealed, under its namespace', async (t) => {
  const cyd = await (await signUp(app, 'cyd')).enrol()
  const [device] = await db.query<{ secret: string }>('select secret from otp_device where user_id = $1', [String(cyd.claims()['sub'])])
  for (const form of ['hex', 'base64', 'base64url'] as const) t.notOk(device!.secret.includes(cyd.phone.secret!.toString(form)), form)
  const stranger = await anotherHost({ namespace: 'somebody-else' })
  t.notOk(stranger.countersign.isReady(), 'another namespace opens none of it')
})

t.test('E5 a host\'s log has each decision, and the host is told', async (t) => {
  const dan = await (await signUp(app, 'dan')).enrol()
  const [session] = await sessionsOf(dan, 1)
  await session!.verify(await dan.wrongCode())
  expect(200, await session!.verify())
  expect(200, await session!.recover(dan.recoveryCodes[0]!))
  expect(200, await session!.request('DELETE', '/totp/delete'))
  const kinds = (await db.query<{ kind: string }>('select kind from otp_event where user_id = $1 order by at', [String(dan.claims()['sub'])])).map(({ kind }) => kind)
  t.same(kinds, ['otp_enabled', 'otp_refused', 'otp_verified', 'recovery_used', 'otp_disabled'])
  for (const kind of kinds) t.ok(told.includes(kind), kind)
  t.equal((await first.inject('/app/2fa/status')).statusCode, 401)
})
