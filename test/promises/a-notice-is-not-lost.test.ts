import t from 'tap'
import { insideOf } from '../../src/attach/inside.js'
import { writeEvent } from '../../src/events/insert.js'
import { freshApp } from '../helpers/app.js'
import { mailServer } from '../helpers/mail-server.js'
import { nextMail, verifyAddress } from '../helpers/mails.js'
import { need } from '../helpers/need.js'
import { expect, signUp, userId } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

await need('postgres')
const server = await mailServer(t)
const { app, db, clock, another } = await freshApp(t, { MAIL_URL: server.url })

const waiting = async () => (await db.query<{ attempts: number }>('select attempts from otp_delivery where destination = \'mail\''))

t.test('N4 what a verified session causes is mailed, each, in the language of the user', async (t) => {
  const ada = await signUp(app, 'ada')
  await ada.login()
  await verifyAddress(server, ada, 'ada@example.org')
  expect(200, await ada.request('PATCH', '/account', { locale: 'de' }))
  expect(201, await ada.create({ name: 'Handy' }))
  expect(200, await ada.confirm())
  const enabled = await nextMail(server, 'ada@example.org')
  t.match(enabled.subject, /^Countersign: Zwei-Faktor/)
  t.ok(enabled.text.includes('UTC'))
  const codes = expect(201, await ada.request('POST', '/totp/recovery_code/create')).json<string[]>()
  t.match((await nextMail(server, 'ada@example.org')).subject, /Wiederherstellungscodes/)
  const other = ada.elsewhere()
  await other.login()
  expect(200, await other.recover(codes[0]!))
  t.ok((await nextMail(server, 'ada@example.org')).text.includes('4'), 'codes that are left')
  expect(200, await other.request('DELETE', '/totp/delete'))
  t.ok(await nextMail(server, 'ada@example.org'))
})

t.test('what a stranger causes is mailed once an hour, and the next one counts the others', async (t) => {
  const ada = await signUp(app, 'bob')
  await ada.login()
  await verifyAddress(server, ada, 'bob@example.org')
  expect(201, await ada.create())
  expect(200, await ada.confirm())
  await nextMail(server, 'bob@example.org')
  const lock = async () => {
    await clock.advance(1200)
    const origin = { ip: '198.51.100.7', agent: 'curl/8' }
    await writeEvent(insideOf(app).db, { userId: userId(ada), kind: 'otp_locked', sessionId: null, origin })
    await until('the outbox to be empty', async () => (await waiting()).length === 0)
  }
  await lock()
  await nextMail(server, 'bob@example.org')
  await lock()
  await lock()
  t.same(server.received, [], 'within the hour')
  await clock.advance(1300)
  await lock()
  const locks = await db.query(
    'select from otp_event e join account a on a.id::text = e.user_id where a.username = $1 and kind = $2', ['bob', 'otp_locked'])
  t.ok(locks.length > 2)
  t.ok((await nextMail(server, 'bob@example.org')).text.includes(`happened ${locks.length - 2} more times`))
})

t.test('N4 a dead mail server delays nothing; the notice arrives after it is back, from another process', async (t) => {
  const own = await mailServer(t)
  await app.close()
  const first = await another({ MAIL_URL: own.url })
  const ada = await signUp(first, 'cora')
  await ada.login()
  await verifyAddress(own, ada, 'cora@example.org')
  await own.close()
  expect(201, await ada.create())
  const beganAtMs = performance.now()
  expect(200, await ada.confirm())
  t.ok(performance.now() - beganAtMs < 1_500)
  await until('an attempt that failed', async () => (await waiting()).some(({ attempts }) => attempts > 0))
  await first.close()
  const back = await mailServer(t, {}, Number(new URL(own.url).port))
  await clock.advance(3_600)
  const second = await another({ MAIL_URL: own.url })
  t.equal((await nextMail(back, 'cora@example.org')).token, null)
  await until('the outbox to be empty', async () => (await waiting()).length === 0)

  await back.close()
  const again = ada.elsewhere(second)
  await again.login()
  expect(200, await again.verify())
  expect(201, await again.request('POST', '/totp/recovery_code/create'))
  await until('an attempt that failed', async () => (await waiting()).some(({ attempts }) => attempts > 0))
  await clock.advance(3 * 86_400 + 3_600)
  await until('the notice to be given up', async () => (await waiting()).length === 0)
  const given = await db.query('select from otp_event where kind = \'notice_undelivered\'')
  t.equal(given.length, 1, 'after three days, with an event')
})
