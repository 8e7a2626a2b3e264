import type { AddressInfo } from 'node:net'
import t from 'tap'
import { outcome } from '../../helpers/answers.js'
import { freshApp } from '../../helpers/app.js'
import { addPasskey, creation, newPasskey, use } from '../../helpers/passkeys.js'
import { expect, signUp } from '../../helpers/person.js'

t.test('K2 with PORT=0 and the embedded database, pages at the free port have passkeys', async (t) => {
  const { app } = await freshApp(t, { DATABASE_URL: '', PASSKEY_ORIGINS: '' })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const cyd = await signUp(app, 'cyd')
  expect(200, await cyd.login())
  t.equal((await creation(cyd)).options.rp.id, 'localhost')
  const passkey = await addPasskey(cyd, newPasskey({ origin: `http://localhost:${port}` }))
  t.equal(outcome(await use(cyd, passkey)), '200')
  t.equal(outcome(await use(cyd, passkey, { origin: 'http://localhost:3000' })), '400 PASSKEY_INVALID')
})
