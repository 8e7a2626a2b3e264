import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { countLockWaits } from '../helpers/lock-waits.js'
import { need } from '../helpers/need.js'
import { signUp } from '../helpers/person.js'
import { idOf } from '../helpers/staff.js'
import { until } from '../helpers/wait.js'
import pg from 'pg'

await need('postgres')
await need('redis')

// A right code whose commit met a change of the user's factors was counted as used, and refused from memory for 90 s.
t.test('a right code that met a change of the factors is not replayed, and is accepted when it comes again', async (t) => {
  const { app, db } = await freshApp(t)
  const ada = await (await signUp(app)).enrol()
  const code = await ada.nextCode()
  const changing = new pg.Client(db.url)
  await changing.connect()
  t.teardown(() => changing.end())
  await changing.query('begin')
  await changing.query('update otp_user set version = version + 1 where user_id = $1', [idOf(ada)])
  // A verified session consumes its own budget: only the commit waits for the user's row.
  const refused = ada.verify(code)
  await until('the commit to wait', async () => await countLockWaits(db.query) > 0)
  await changing.query('commit')
  t.equal(outcome(await refused), '400 OTP_INVALID')
  const { body } = await app.inject('/metrics')
  t.notMatch(body, /codes_total\{kind="totp",outcome="replayed"\} [1-9]/)
  t.match(body, /codes_total\{kind="totp",outcome="refused"\} 1\n/)
  t.equal(outcome(await ada.verify(code)), '200')
  t.equal(outcome(await ada.verify(code)), '400 OTP_INVALID', 'used now')
})
