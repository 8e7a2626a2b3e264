import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { addPasskey, answer, challenge, confirm, creation, newPasskey, use } from '../helpers/passkeys.js'
import { expect, signUp, type Person } from '../helpers/person.js'
import { countEvents } from '../helpers/stored.js'

const { app, db } = await freshApp(t)

async function withPasskey (name: string, options = {}): Promise<{ person: Person, passkey: ReturnType<typeof newPasskey> }> {
  const person = await signUp(app, name)
  expect(200, await person.login())
  return { person, passkey: await addPasskey(person, newPasskey(options)) }
}

const refused = { code: 'PASSKEY_INVALID' }

t.test('K2 another origin, RP, type or frame is refused', async (t) => {
  const { person, passkey } = await withPasskey('ada')
  for (const falsified of [
    { origin: 'https://app.example.org.evil.example' }, { origin: 'https://example.org' }, { origin: 'http://app.example.org' },
    { rpId: 'example.org' }, { type: 'webauthn.create' }, { crossOrigin: true }, { topOrigin: 'https://app.example.org' },
    { userPresent: false }, { backupEligible: true }
  ]) t.match((await use(person, passkey, falsified)).json(), refused, JSON.stringify(falsified))
  // The header of a proxy or client never widens the list.
  const options = await challenge(person)
  const response = passkey.authenticate(options, { origin: 'https://evil.example' })
  t.match((await answer(person, response)).json(), refused)
  expect(200, await use(person, passkey))
})

t.test('K1 the challenge of another session, user or purpose is refused', async (t) => {
  const { person: bob, passkey } = await withPasskey('bob')
  const other = bob.elsewhere()
  expect(200, await other.login())
  const options = await challenge(bob)
  await challenge(other)
  t.match((await answer(other, passkey.authenticate(options))).json(), refused, 'of another session')
  t.match((await answer(bob, passkey.authenticate({ ...options, challenge: (await creation(bob)).options.challenge }))).json(), refused)

  const { person: eve, passkey: hers } = await withPasskey('eve')
  const asked = await challenge(eve)
  const borrowed = { ...asked, allowCredentials: [{ type: 'public-key' as const, id: passkey.id }] }
  t.match((await answer(eve, passkey.authenticate(borrowed))).json(), refused, 'a passkey of another user')
  expect(200, await use(eve, hers))
})

t.test('K3 a credential is registered once, over all users', async (t) => {
  const { passkey } = await withPasskey('cyd')
  const dee = await signUp(app, 'dee')
  expect(200, await dee.login())
  t.match((await confirm(dee, passkey.register((await creation(dee)).options))).json(), refused)
  await addPasskey(dee)
})

t.test('K3 the counter never goes back: that leaves an event of a copy', async (t) => {
  const { person, passkey } = await withPasskey('fay')
  expect(200, await use(person, passkey, { counter: 100 }))
  for (const counter of [0, 99, 100]) t.match((await use(person, passkey, { counter })).json(), refused, String(counter))
  t.equal(await countEvents(db, person, 'passkey_cloned'), 3)
  expect(200, await use(person, passkey, { counter: 101 }))
  const { person: gil, passkey: synced } = await withPasskey('gil', { synced: true })
  for (let i = 0; i < 3; i++) expect(200, await use(gil, synced))
})

t.test('K5 no lock of codes stops a passkey, and bad answers lock nothing', async (t) => {
  const hal = await (await signUp(app, 'hal')).enrol()
  const passkey = await addPasskey(hal)
  const session = hal.elsewhere()
  expect(200, await session.login())
  for (const code of await hal.wrongCodes(6)) await session.verify(code)
  t.match((await session.verify(await hal.code())).json(), { code: 'OTP_LOCKED' })
  for (let i = 0; i < 10; i++) t.match((await use(session, passkey, { userPresent: false })).json(), refused)
  expect(200, await use(session, passkey))
  const later = hal.elsewhere()
  expect(200, await later.login())
  expect(200, await later.verify())
})
