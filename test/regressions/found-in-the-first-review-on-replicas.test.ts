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

const WRONG = ['000000', '111111', '222222', '333333', '444444', '555555']

t.test('T11 during a lock a code that was judged before it gets the answer of any other', async (t) => {
  const ada = await (await signUp(app)).enrol()
  const thief = ada.elsewhere()
  expect(200, await thief.login())
  const near = await Promise.all([-2, -1, 0, 1, 2].map((step) => ada.code(step)))
  const wrong = WRONG.filter((code) => !near.includes(code)).slice(0, 5)
  for (const code of wrong) t.equal(outcome(await thief.verify(code)), '400 OTP_INVALID')
  // A replica that has not cached the lock, as this one a second later.
  const there = Object.assign(thief.elsewhere(await another()), { access: thief.access })
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
