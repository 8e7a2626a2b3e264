import { hash as bcrypt } from '@node-rs/bcrypt'
import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { importLines, mover, shown } from '../helpers/moving.js'
import { need } from '../helpers/need.js'
import { expect } from '../helpers/person.js'

await need('postgres')
const { app, db, clock } = await freshApp(t)
const PASSWORD = 'a password of the old system'
const READING = 'another reading'

t.test('the second reading of an imported secret is read for ninety days', async (t) => {
  const passwordHash = await bcrypt(PASSWORD, 4)
  const totp = [{ secret: { text: 'one of the readings' }, otherSecret: { text: READING }, lastStep: 0 }]
  await importLines(app, ['early', 'late'].map((username) => ({ username, passwordHash, totp })))
  for (const [username, days, status] of [['early', 89, 200], ['late', 91, 400]] as const) {
    await db.query(`update otp_totp set other_secret_until = other_secret_until - make_interval(days => $2)
      where user_id = (select id::text from account where username = $1)`, [username, days])
    const session = mover(app, username, PASSWORD)
    expect(200, await session.login())
    const code = shown({ key: Buffer.from(READING) }, await clock.now())
    t.equal((await session.verify(code)).statusCode, status, username)
  }
})
