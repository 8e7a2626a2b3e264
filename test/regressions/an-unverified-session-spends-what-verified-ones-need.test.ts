import t from 'tap'
import { outcome, countOutcomes } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, sessionsOf, signUp } from '../helpers/person.js'

await need('postgres')

const { app, another } = await freshApp(t, { NETWORK_LIMITS: 'on' })
const replica = await another()

t.test('set-ups that a session without a second factor asks for leave a verified one its twenty an hour', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const thieves = await sessionsOf(ada, 2, [app, replica])
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => thieves[i % 2]!.create()))
  t.same(countOutcomes(answers), { '403 OTP_REQUIRED': 19, '429 RATE_LIMITED': 31 }, 'ada\'s own set-up was the first of twenty')
  const statuses = []
  for (let i = 0; i < 21; i++) statuses.push(outcome(await ada.create()))
  t.same(statuses, [...Array(20).fill('201'), '429 RATE_LIMITED'])
})

t.test('codes that a session without a second factor sends leave a verified one of the same network its sixty a minute', async (t) => {
  const bob = await (await signUp(app, 'bob')).enrol()
  const [thief] = await sessionsOf(bob, 1)
  for (let sent = 0; sent < 60; sent++) if ((await thief!.recover('0000-0000')).statusCode === 429) break
  t.equal(outcome(await thief!.recover('0000-0000')), '429 RATE_LIMITED')
  t.equal(outcome(await bob.verify()), '200')
  t.equal(outcome(await bob.request('POST', '/totp/recovery_code/login', { token: '0000-0000' })), '400 RECOVERY_CODE_INVALID')
  t.equal(outcome(await thief!.recover('0000-0000')), '429 RATE_LIMITED')
  t.equal(
    outcome(await thief!.request('POST', '/totp/login', { token: '000000' }, null)), '429 RATE_LIMITED', 'nor is a stranger looked at'
  )
})

t.test('a session of a user without a second factor has the common budget', async (t) => {
  const cyd = await signUp(app, 'cyd')
  expect(200, await cyd.login())
  const statuses = []
  for (let i = 0; i < 21; i++) statuses.push(outcome(await cyd.create()))
  t.same(statuses, [...Array(20).fill('201'), '429 RATE_LIMITED'])
  const codes = await Promise.all(Array.from({ length: 3 }, () => cyd.verify('000000')))
  t.same(countOutcomes(codes), { '429 RATE_LIMITED': 3 })
})
