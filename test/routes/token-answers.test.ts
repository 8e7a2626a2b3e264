import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { freshApp } from '../helpers/app.js'
import { addPasskey, use } from '../helpers/passkeys.js'
import { expect, signUp, type Person } from '../helpers/person.js'

const { app, clock } = await freshApp(t, { OTP_RECOVERY_CODES: '2' })
await clock.freeze()

interface Answer {
  access: string
  refresh: string
  expiresIn: number
  otpRequired: boolean
  otpMethods: string[]
  otpExpiresAt: string | null
}

const FIELDS = ['access', 'expiresIn', 'otpExpiresAt', 'otpMethods', 'otpRequired', 'refresh']

/** Reads an answer with tokens, and compares its methods with those of the status, which is asked with the new tokens. */
async function tokensOf (t: Test, person: Person, answer: LightMyRequestResponse, more: readonly string[] = []): Promise<Answer> {
  const found = expect(200, answer).json<Answer>()
  t.same(Object.keys(found).sort(), [...FIELDS, ...more].sort())
  person.access = found.access
  person.refresh = found.refresh
  const { iat, exp } = person.claims() as { iat: number, exp: number }
  t.equal(found.expiresIn, exp - iat)
  const status = expect(200, await person.request('GET', '/totp/status')).json<{ methods: string[] }>()
  t.same(found.otpMethods, status.methods)
  t.equal(found.otpExpiresAt !== null, found.otpRequired)
  return found
}

t.test('every answer with tokens has the same fields, and they are true', async (t) => {
  const ada = await signUp(app, 'ada')
  t.match(await tokensOf(t, ada, await ada.login(), ['otpDeadline']), { expiresIn: 300, otpRequired: false, otpMethods: [] })
  t.match(await tokensOf(t, ada, await ada.refreshTokens()), { otpRequired: false, otpMethods: [] })

  expect(201, await ada.create())
  t.match(await tokensOf(t, ada, await ada.confirm()), { otpRequired: false, otpMethods: ['totp', 'recovery_code'] }, 'set up')

  const session = ada.elsewhere()
  const login = await tokensOf(t, session, await session.login(), ['otpDeadline'])
  t.match(login, { otpRequired: true, otpMethods: ['totp', 'recovery_code'] })
  t.equal(Date.parse(login.otpExpiresAt!), Math.floor((await clock.now()).getTime() / 1000) * 1000 + 300_000)
  await clock.advance(60)
  const refreshed = await tokensOf(t, session, await session.refreshTokens())
  t.match(refreshed, { expiresIn: 240, otpRequired: true, otpMethods: ['totp', 'recovery_code'], otpExpiresAt: login.otpExpiresAt })

  t.match(await tokensOf(t, session, await session.verify()), { otpRequired: false, otpMethods: ['totp', 'recovery_code'] }, 'verified')
  t.match(await tokensOf(t, session, await session.verify()), { otpRequired: false }, 'stepped up')
  const { password } = session
  const changed = await session.request('POST', '/account/password', { current: password, next: `${password}!` })
  t.match(await tokensOf(t, session, changed), { otpRequired: false, otpMethods: ['totp', 'recovery_code'] })
  const deleted = await session.request('DELETE', '/totp/delete')
  t.match(await tokensOf(t, session, deleted), { otpRequired: false, otpMethods: [] })
})

t.test('a recovery code is no method once it is used, nor a device once it is removed', async (t) => {
  const bob = await (await signUp(app, 'bob')).enrol()
  const [first, last] = bob.recoveryCodes
  const used = await tokensOf(t, bob, await bob.recover(first), ['recoveryCodesLeft'])
  t.same(used.otpMethods, ['totp', 'recovery_code'])
  t.same((await tokensOf(t, bob, await bob.recover(last), ['recoveryCodesLeft'])).otpMethods, ['totp'])

  const passkey = await addPasskey(bob)
  t.same((await tokensOf(t, bob, await use(bob, passkey))).otpMethods, ['totp', 'passkey'])
  const devices = expect(200, await bob.request('GET', '/totp/devices')).json<Array<{ id: string, kind: string }>>()
  const removed = await bob.request('DELETE', `/totp/devices/${devices.find(({ kind }) => kind === 'passkey')!.id}`)
  const owing = await tokensOf(t, bob, removed)
  t.match(owing, { otpRequired: true, otpMethods: ['totp'] }, 'the device that had verified it is gone')
  t.equal(Date.parse(owing.otpExpiresAt!) > (await clock.now()).getTime(), true)
})
