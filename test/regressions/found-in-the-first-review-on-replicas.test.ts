import { randomBytes } from 'node:crypto'
import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const keys = { old: `old:${randomBytes(32).toString('base64url')}`, new: `new:${randomBytes(32).toString('base64url')}` }
const { app, another } = await freshApp(t, { SEAL_KEYS: keys.old })

t.test('T11 during a lock a code that was judged before it gets the answer of any other', async (t) => {
  const ada = await (await signUp(app)).enrol()
  const thief = ada.elsewhere()
  expect(200, await thief.login())
  const wrong = await ada.wrongCodes(5)
  for (const code of wrong) t.equal(outcome(await thief.verify(code)), '400 OTP_INVALID')
  // A replica that has not cached the lock, as this one a second later.
  const there = thief.at(await another())
  t.equal(outcome(await there.verify(wrong[0])), '429 OTP_LOCKED')
  t.equal(outcome(await there.verify(await ada.code(1))), '429 OTP_LOCKED')
})

t.test('R7 T6 a quiet rotation: started once with the new key, the old one may go', async (t) => {
  const ada = await (await signUp(app, 'bob')).enrol()
  const between = await another({ SEAL_KEYS: `${keys.new},${keys.old}` })
  await until('the replica to be ready', () => between.countersign.isReady())
  const after = await another({ SEAL_KEYS: keys.new })
  const there = ada.elsewhere(after)
  t.equal(outcome(await there.login()), '200')
  t.equal(outcome(await there.recover(ada.recoveryCodes[0])), '200')
})
