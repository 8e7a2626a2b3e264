import t from 'tap'
import { freshApp } from '../../helpers/app.js'
import { bringOver, djangoDump } from '../../helpers/django.js'
import { need } from '../../helpers/need.js'
import { expect, signUp } from '../../helpers/person.js'

await need('postgres')

const TABLES = ['account', 'account_import', 'account_oauth_profile', 'otp_user', 'otp_device', 'otp_recovery_code', 'otp_event']
type Query = (text: string) => Promise<object[]>
const everything = async (query: Query) =>
  JSON.stringify(await Promise.all(TABLES.map((name) => query(`select * from ${name} order by 1, 2, 3`))))

const { app, db } = await freshApp(t)
const dump = await djangoDump(t)

t.test('run twice it changes nothing; a rehearsal changes nothing and says the same', async (t) => {
  const before = await everything(db.query)
  const rehearsed = await bringOver(app, dump.url, { isRehearsal: true })
  t.equal(await everything(db.query), before)
  const first = await bringOver(app, dump.url)
  t.same(rehearsed, first)
  const after = await everything(db.query)
  const second = await bringOver(app, dump.url)
  t.match(second, { notes: [], report: { users: { found: 14, brought: 0, alreadyHere: 14, changedThereSince: 0 } } })
  t.equal(await everything(db.query), after)
})

t.test('whoever is here stays as they are here: what changed there is said, what was deleted here stays away', async (t) => {
  await dump.query("update auth_user set password = 'pbkdf2_sha256$1$a$b', last_login = now() where username = 'user001'")
  await dump.query(
    "update otp_totp_totpdevice set last_t = 60000000, drift = 1 where user_id = (select id from auth_user where username = 'user003')"
  )
  await db.query("delete from account where username = 'user002'")
  const after = await everything(db.query)
  const { report, notes } = await bringOver(app, dump.url)
  t.match(report.users, { brought: 0, alreadyHere: 14, changedThereSince: 1, deletedHere: 1 })
  t.match(notes, [{ kind: 'user', username: 'user001', reason: /changed there/ }])
  t.equal(notes.length, 1, 'a login there is no change')
  t.equal(await everything(db.query), after)
})

t.test('usernames that collide by case are reported, not merged', async (t) => {
  const { app, db } = await freshApp(t)
  const ada = await signUp(app, 'USER003')
  const dump = await djangoDump(t)
  await dump.query(
    `insert into auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active, date_joined)
    values (99, '!x', false, 'User001', '', '', 'x@y.z', true, true, now())`
  )
  const { report, notes } = await bringOver(app, dump.url)
  t.match(report.users, { found: 15, brought: 13, leftOut: 2 })
  t.match(notes, [
    { kind: 'user', externalId: '4', username: 'user003', reason: /"USER003" has this username/ },
    { kind: 'user', externalId: '99', username: 'User001', reason: /"user001" has this username/ }
  ])
  t.same(
    await db.query("select username, is_staff from account where username_key = 'user001'"),
    [{ username: 'user001', is_staff: true }], 'the older one'
  )
  expect(200, await ada.login())
  t.same((await ada.request('GET', '/totp/status')).json().isOtpEnabled, false, 'who signed up here got nobody\'s device')
  await dump.query("update auth_user set username = 'Renamed' where id = 4")
  t.match(
    (await bringOver(app, dump.url)).report.users, { brought: 1, alreadyHere: 13, leftOut: 1 },
    'once it is mended there, the next run brings it'
  )
})

t.test('--since: who joined, logged in or changed their profile since', async (t) => {
  const { app } = await freshApp(t)
  const dump = await djangoDump(t)
  await dump.query("update auth_user set date_joined = '2020-01-01'")
  await dump.query("update account_userprofile set updated_at = '2020-01-01'")
  await dump.query("update auth_user set date_joined = '2026-11-20' where id = 1")
  await dump.query("update auth_user set last_login = '2026-11-21' where id = 2")
  await dump.query("update account_userprofile set updated_at = '2026-11-22' where user_id = 3")
  const { report } = await bringOver(app, dump.url, { since: new Date('2026-11-20') })
  t.match(report.users, { found: 3, brought: 3 })
})
