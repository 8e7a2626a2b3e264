import t from 'tap'
import { freshApp } from '../../helpers/app.js'
import { PERIOD_SECONDS, stepAt, totp } from '../../helpers/authenticator.js'
import { bringOver, djangoDump, people } from '../../helpers/django.js'
import { need } from '../../helpers/need.js'
import { expect, Person } from '../../helpers/person.js'

await need('postgres')

t.test('T2 a code that was used there stays used; drift keeps the phone in step', async (t) => {
  const { app, clock } = await freshApp(t)
  await clock.freeze()
  const dump = await djangoDump(t)
  const now = stepAt(await clock.now())
  const [used, fast] = ['user001', 'user003'].map((name) => people.find(({ username }) => username === name)!)
  await dump.query(`update otp_totp_totpdevice set last_t = ${now} where id = ${used!.devices[0]!.id}`)
  await dump.query(`update otp_totp_totpdevice set drift = 1, last_t = ${now} where id = ${fast!.devices[0]!.id}`)
  await bringOver(app, dump.url)
  const enter = async (person: typeof used, step: number) => {
    const session = new Person({ app, username: person!.username, password: person!.password!, phone: { lastStep: 0 } })
    expect(200, await session.login())
    return (await session.verify(totp(Buffer.from(person!.devices[0]!.hex, 'hex'), step))).statusCode
  }
  t.equal(await enter(used, now), 400, 'used there')
  t.equal(await enter(used, now + 1), 200)
  // The other phone is one step fast: it shows now + 1 at now, and its code is entered up to one step late or early.
  t.equal(await enter(fast, now), 400, 'used there')
  t.equal(await enter(fast, now + 3), 400, 'out of the window around its own time')
  t.equal(await enter(fast, now + 2), 200)
  await clock.advance(5 * PERIOD_SECONDS)
  t.equal(await enter(fast, now + 4), 400, 'two behind its own time')
  t.equal(await enter(fast, now + 5), 200)
})

t.test('R6 a second factor that could not come is not just gone', async (t) => {
  const { app, db } = await freshApp(t)
  const dump = await djangoDump(t)
  await dump.query("update otp_totp_totpdevice set digits = 10 where user_id = (select id from auth_user where username = 'user001')")
  const { report, notes } = await bringOver(app, dump.url)
  t.match(report, { devices: { brought: 9, leftOut: 1 }, recoveryCodes: { brought: 29, leftBehind: 25 } })
  t.match(notes, [{ kind: 'device', reason: /10 digits/ }, { kind: 'user', reason: /set-up code/ }])
  t.same(
    await db.query("select setup_required from otp_user u join account a on a.id::text = u.user_id where username = 'user001'"),
    [{ setup_required: true }]
  )
  const grace = people.find(({ username }) => username === 'user001')!
  const session = new Person({ app, username: grace.username, password: grace.password!, phone: { lastStep: 0 } })
  t.equal((await session.login()).json().code, 'SETUP_CODE_REQUIRED', 'the password alone opens nothing')
})
