import t from 'tap'
import { outcome } from '../../helpers/answers.js'
import { freshApp } from '../../helpers/app.js'
import { addPasskey, answer, challenge, confirm, creation, newPasskey, use } from '../../helpers/passkeys.js'
import { expect, signUp, type Person } from '../../helpers/person.js'

const { app, clock } = await freshApp(t)
const REFUSED = '400 PASSKEY_INVALID'

async function loggedIn (name: string): Promise<Person> {
  const person = await signUp(app, name)
  expect(200, await person.login())
  return person
}

interface Listed { id: string, kind: string }
const listed = async (person: Person) => expect(200, await person.request('GET', '/totp/devices')).json<Listed[]>()

t.test('asking for the other kind replaces the pending factor, with the same recovery codes', async (t) => {
  for (const first of ['totp', 'passkey'] as const) {
    const ada = await loggedIn(`first${first}`)
    const passkey = newPasskey()
    const begin = async (kind: 'totp' | 'passkey') => {
      if (kind === 'totp') {
        expect(201, await ada.create())
        return { codes: ada.recoveryCodes, finish: async () => await ada.confirm() }
      }
      const { options, recoveryCodes } = await creation(ada)
      return { codes: recoveryCodes, finish: async () => await confirm(ada, passkey.register(options)) }
    }
    const other = first === 'totp' ? 'passkey' : 'totp'
    const before = await begin(first)
    t.equal(before.codes.length, 5)
    const { codes, finish } = await begin(other)
    t.strictSame(codes, before.codes, first)
    t.equal(outcome(await before.finish()), '400 OTP_NOT_SET_UP', `${first} is pending no more`)
    t.match((await ada.request('GET', '/totp/status')).json(), { isPending: true, isOtpEnabled: false, methods: [] })
    t.equal(outcome(await finish()), '200', other)
    t.match(await listed(ada), [{ kind: other }])
    t.match((await ada.request('GET', '/totp/status')).json(), {
      isPending: false, methods: [other, 'recovery_code'], recoveryCodesLeft: 5
    })
    expect(200, await ada.recover(codes[0]!))
  }
})

t.test('a pending passkey can be rolled back, and expires', async (t) => {
  const bob = await loggedIn('bob')
  const { options } = await creation(bob)
  expect(200, await bob.request('DELETE', '/totp/rollback'))
  t.equal(outcome(await confirm(bob, newPasskey().register(options))), '400 OTP_NOT_SET_UP')
  const late = await creation(bob)
  await clock.advance(601)
  expect(200, await bob.login())
  t.equal(outcome(await confirm(bob, newPasskey().register(late.options))), '400 OTP_NOT_SET_UP')
  t.match((await bob.request('GET', '/totp/status')).json(), { isOtpEnabled: false, isPending: false })
})

t.test('a removed passkey ends the sessions that rely on it; the last factor that is removed disables', async (t) => {
  const cyd = await (await signUp(app, 'cyd')).enrol()
  const passkey = await addPasskey(cyd)
  const other = cyd.elsewhere()
  expect(200, await other.login())
  expect(200, await use(other, passkey))
  const verified = cyd.elsewhere()
  expect(200, await verified.login())
  expect(200, await verified.verify())
  const { id } = (await listed(verified)).find(({ kind }) => kind === 'passkey')!
  const removed = expect(200, await verified.request('DELETE', `/totp/devices/${id}`))
  verified.access = removed.json<{ access: string }>().access
  t.equal(outcome(await other.request('GET', '/session')), '401 SESSION_ENDED')
  t.equal(outcome(await verified.request('GET', '/session?required')), '200', 'it relies on the app alone')
  t.equal(outcome(await verified.request('POST', '/totp/passkeys/challenge')), '400 OTP_NOT_SET_UP')

  const dee = await loggedIn('dee')
  const only = await addPasskey(dee)
  const [first] = await listed(dee)
  const off = expect(200, await dee.request('DELETE', `/totp/devices/${first!.id}`))
  dee.access = off.json<{ access: string }>().access
  t.match((await dee.request('GET', '/totp/status')).json(), { isOtpEnabled: false, methods: [], recoveryCodesLeft: 0 })
  // Once removed, it is nobody's: it can be registered again.
  const eve = await loggedIn('eve')
  t.equal(outcome(await confirm(eve, only.register((await creation(eve)).options))), '200')
})

t.test('`/totp/delete` disables both kinds', async (t) => {
  const fay = await (await signUp(app, 'fay')).enrol()
  await addPasskey(fay)
  const off = expect(200, await fay.request('DELETE', '/totp/delete'))
  fay.access = off.json<{ access: string }>().access
  t.match((await fay.request('GET', '/totp/status')).json(), { isOtpEnabled: false, methods: [] })
  t.equal(outcome(await fay.request('GET', '/session')), '200')
})

t.test('a further passkey needs a verified and fresh session, and there are ten at most', async (t) => {
  const gil = await loggedIn('gil')
  const passkey = await addPasskey(gil)
  const unverified = gil.elsewhere()
  expect(200, await unverified.login())
  t.equal(outcome(await unverified.request('POST', '/totp/passkeys/create', {})), '403 OTP_REQUIRED')
  await clock.advance(301)
  expect(200, await gil.refreshTokens())
  t.equal(outcome(await gil.request('POST', '/totp/passkeys/create', {})), '403 OTP_STALE')
  expect(200, await use(gil, passkey))
  for (let i = 1; i < 10; i++) await addPasskey(gil)
  t.equal(outcome(await gil.request('POST', '/totp/passkeys/create', {})), '409 OTP_DEVICE_LIMIT')
  expect(201, await gil.create())
  t.equal((await challenge(gil)).allowCredentials.length, 10)
})

t.test('K1 no answer is a 500: too long, cut off, of other shapes', async (t) => {
  const hal = await loggedIn('hal')
  const passkey = await addPasskey(hal)
  const send = async (url: string, body: object) => outcome(await hal.request('POST', url, body))
  const [asserted, registered] = [
    async () => passkey.authenticate(await challenge(hal)),
    async () => newPasskey().register((await creation(hal)).options)
  ]
  for (const [url, make, members] of [
    ['/totp/passkeys/login', asserted, ['clientDataJSON', 'authenticatorData', 'signature']],
    ['/totp/passkeys/confirm', registered, ['clientDataJSON', 'attestationObject']]
  ] as const) {
    const good = await make()
    for (const member of members) {
      const text = (good.response as unknown as Record<string, string>)[member]!
      for (const [name, changed, expected] of [
        ['empty', '', '400 REQUEST_INVALID'],
        ['not base64url', `${text}=`, '400 REQUEST_INVALID'],
        ['too long', 'A'.repeat(12_001), '400 REQUEST_INVALID'],
        ['longer than a body', 'A'.repeat(17_000), '413 BODY_TOO_LARGE'],
        ['cut off', text.slice(0, text.length >> 1), REFUSED],
        ['one character', 'A', REFUSED],
        ['zeros', 'A'.repeat(11_000), REFUSED]
      ] as const) {
        const response = { ...good, response: { ...good.response, [member]: changed } }
        t.equal(await send(url, { response }), expected, `${member}: ${name}`)
      }
    }
    for (const body of [{}, { response: null }, { response: [] }, { response: 'x' }, { response: { ...good, type: 'password' } },
      { response: { ...good, id: 'A'.repeat(1365) } }, { response: good, more: 1 }]) {
      t.equal(await send(url, body), '400 REQUEST_INVALID', JSON.stringify(body).slice(0, 40))
    }
    t.equal(await send(url, { response: { ...await make(), id: 'AAAA' } }), REFUSED, 'another id')
    await clock.advance(60)
  }
  t.equal(outcome(await answer(hal, await asserted())), '200', 'the session lives')
})
