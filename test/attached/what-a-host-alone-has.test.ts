import t from 'tap'
import { freshHost } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp, userId } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

// Promises for hosts only, which the service does not need.
await need('postgres')
const told: string[] = []
const { db, anotherHost } = await freshHost(t)
const app = await anotherHost({ onSecurityEvent: ({ kind }) => { told.push(kind) } })

t.test('T7 a GET changes nothing at a host, and a form or plain text from another origin is no request', async (t) => {
  const bob = await signUp(app, 'bob')
  expect(200, await bob.login())
  t.equal((await bob.request('GET', '/totp/create')).statusCode, 404)
  for (const type of ['application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x']) {
    const headers = { cookie: `host=${bob.access}`, 'content-type': type, origin: 'https://elsewhere.example' }
    const answer = await app.inject({ method: 'POST', url: '/app/2fa/create', headers, payload: 'name=x' })
    t.equal(answer.statusCode, 415, type)
  }
  t.same(await db.query('select from otp_device where user_id = $1', [userId(bob)]), [])
})

t.test('R3 a page of another origin makes nobody\'s recovery codes anew', async (t) => {
  const eve = await (await signUp(app, 'eve')).enrol()
  const codes = async () => await db.query('select digest from otp_recovery_code where user_id = $1 order by 1', [userId(eve)])
  const before = await codes()
  const headers = { cookie: `host=${eve.access}`, origin: 'https://elsewhere.example', 'sec-fetch-site': 'cross-site' }
  const forged = await app.inject({ method: 'POST', url: '/app/2fa/recovery_code/create', headers })
  t.equal(forged.statusCode, 415, 'no body, and so no content type')
  t.same(await codes(), before)
  expect(201, await eve.request('POST', '/totp/recovery_code/create'))
})

t.test('T6 with the same key, an app of another namespace opens nothing', async (t) => {
  await (await signUp(app, 'cyd')).enrol()
  await t.rejects(anotherHost({ namespace: 'somebody-else' }), { name: 'SealedElsewhereError', differs: 'namespace' }, 'refused at start')
})

t.test('E5 the host is told of each decision', async (t) => {
  const dan = await (await signUp(app, 'dan')).enrol()
  const [session] = await sessionsOf(dan, 1)
  told.length = 0
  await session!.verify(await dan.wrongCode())
  expect(200, await session!.verify())
  expect(200, await session!.recover(dan.recoveryCodes[0]!))
  expect(200, await session!.request('DELETE', '/totp/delete'))
  const kinds = ['otp_refused', 'otp_verified', 'recovery_used', 'otp_disabled']
  await until('the host to be told', () => told.length >= kinds.length)
  t.same(told, kinds)
})
