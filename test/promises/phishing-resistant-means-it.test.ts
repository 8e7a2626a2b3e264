import t from 'tap'
import { outcome } from '../helpers/answers.js'
import { freshApp } from '../helpers/app.js'
import { doorOf } from '../helpers/door.js'
import { addPasskey, newPasskey, use } from '../helpers/passkeys.js'
import { expect, signUp, type Person } from '../helpers/person.js'

const { app, clock } = await freshApp(t)
const ask = async (who: Person, query = 'phishingResistant') => outcome(await who.request('GET', `/session?${query}`))
const REFUSED = '403 PHISHING_RESISTANT_REQUIRED'

t.test('K4 only a passkey opens it, and the tokens say so', async (t) => {
  const ada = await signUp(app, 'ada')
  expect(200, await ada.login())
  t.equal(await ask(ada), '403 OTP_REQUIRED', 'without a factor: one must be set up')
  const passkey = await addPasskey(ada)
  t.equal(await ask(ada), '200')
  t.match(ada.claims(), { amr: ['pwd', 'pop', 'user', 'mfa'], acr: 'phr', phr_time: ada.claims()['otp_time'] })

  const session = ada.elsewhere()
  const loggedIn = expect(200, await session.login()).json<{ otpMethods?: string[] }>()
  if (!doorOf(app).isHost) t.same(loggedIn.otpMethods, ['passkey', 'recovery_code'])
  t.equal(await ask(session), REFUSED)
  expect(200, await use(session, passkey))
  t.equal(await ask(session), '200')
  await session.refreshTokens()
  t.equal(await ask(session), '200', 'also after a refresh')

  const recovered = ada.elsewhere()
  expect(200, await recovered.login())
  expect(200, await recovered.recover(ada.recoveryCodes[0]))
  t.equal(await ask(recovered), REFUSED, 'a recovery code does not')
})

t.test('K4 a code renews the proof, never that of the passkey', async (t) => {
  const bob = await (await signUp(app, 'bob')).enrol()
  t.equal(await ask(bob), REFUSED)
  const passkey = await addPasskey(bob)
  await clock.advance(120)
  t.equal(await ask(bob, 'phishingResistant&maxAge=60'), REFUSED)
  const before = bob.claims()['phr_time']
  expect(200, await bob.verify())
  t.equal(await ask(bob, 'maxAge=60'), '200')
  t.equal(await ask(bob, 'phishingResistant&maxAge=60'), REFUSED, 'a phished code lends no freshness')
  t.equal(await ask(bob), '200', 'the passkey of before still counts')
  t.match(bob.claims(), { acr: 'phr', phr_time: before })
  await bob.refreshTokens()
  t.equal(await ask(bob, 'phishingResistant&maxAge=60'), REFUSED)
  expect(200, await use(bob, passkey))
  t.equal(await ask(bob, 'phishingResistant&maxAge=60'), '200')
})

t.test('K4 a session does not outlive the passkey that it relies on, also after a code', async (t) => {
  const cyd = await (await signUp(app, 'cyd')).enrol()
  await addPasskey(cyd, newPasskey(), { name: 'Key' })
  expect(200, await cyd.verify())
  const devices = (await cyd.request('GET', '/totp/devices')).json<Array<{ id: string, kind: string, name: string }>>()
  t.match(devices, [{ kind: 'totp' }, { kind: 'passkey', name: 'Key', backedUp: false, transports: ['internal'] }])
  const removed = expect(200, await cyd.request('DELETE', `/totp/devices/${devices[1]!.id}`)).json<{ access: string }>()
  cyd.access = removed.access
  t.equal(await ask(cyd), REFUSED)
  t.equal(await ask(cyd, 'required'), '403 OTP_REQUIRED', 'the session that follows owes a factor')
})
