import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { PERIOD_SECONDS } from '../helpers/authenticator.js'
import { need } from '../helpers/need.js'
import { signUp } from '../helpers/person.js'

await need('redis')

// A code that came a step too early was refused for 90 s, also when its step had come, while the phone still showed it.
t.test('a code that came too early is accepted when its time has come', async (t) => {
  const { app, clock } = await freshApp(t)
  const ada = await (await signUp(app)).enrol()
  await clock.freeze()
  for (const session of [ada, ada.elsewhere()]) {
    if (session !== ada) t.equal(outcome(await session.login()), '200')
    const code = await session.code(2)
    t.equal(outcome(await session.verify(code)), '400 OTP_INVALID', 'one step beyond the window')
    t.equal(outcome(await session.verify(code)), '400 OTP_INVALID', 'the same step')
    await clock.advance(PERIOD_SECONDS)
    t.equal(outcome(await session.verify(code)), '200')
    t.equal(outcome(await session.verify(code)), '400 OTP_INVALID', 'used now')
  }
  const { body } = await app.inject('/metrics')
  t.match(body, /codes_total\{kind="totp",outcome="repeated"\} 4\n/, 'within a step, a repeated code costs no statement')
})

t.test('a wrong code costs one attempt in each step, and a used one too', async (t) => {
  const { app, clock } = await freshApp(t)
  const ada = await (await signUp(app)).enrol()
  await clock.freeze()
  const used = await ada.nextCode()
  t.equal(outcome(await ada.verify(used)), '200')
  const other = ada.elsewhere()
  t.equal(outcome(await other.login()), '200')
  const repeated = async () => {
    const { body } = await app.inject('/metrics')
    return Number(/codes_total\{kind="totp",outcome="repeated"\} (\d+)/.exec(body)?.[1] ?? 0)
  }
  for (const code of [await other.wrongCode(), used]) {
    for (const step of [1, 2]) {
      const before = await repeated()
      t.equal(outcome(await other.verify(code)), '400 OTP_INVALID', `step ${step}`)
      t.equal(await repeated(), before)
      t.equal(outcome(await other.verify(code)), '400 OTP_INVALID')
      t.equal(await repeated(), before + 1)
      await clock.advance(PERIOD_SECONDS)
    }
  }
})
