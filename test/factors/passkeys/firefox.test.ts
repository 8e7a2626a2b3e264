/** Passkeys in a second browser: Debian's Firefox, with its software token. */
import t from 'tap'
import { outcome } from '../../helpers/answers.js'
import { freshApp } from '../../helpers/app.js'
import { freePort } from '../../helpers/free-port.js'
import { startFirefox } from '../../helpers/marionette.js'
import { need } from '../../helpers/need.js'
import { answer, challenge, confirm, creation } from '../../helpers/passkeys.js'
import { expect, signUp } from '../../helpers/person.js'

const executablePath = await need('firefox-esr')
t.setTimeout(240_000)
const port = await freePort()
const { app } = await freshApp(t, { PASSKEY_ORIGINS: `http://localhost:${port}` })
await app.listen({ port, host: '127.0.0.1' })
const firefox = await startFirefox(t, executablePath)
await firefox('WebDriver:Navigate', { url: `http://localhost:${port}/livez` })
await firefox('WebAuthn:AddVirtualAuthenticator', {
  protocol: 'ctap2_1', transport: 'usb', hasResidentKey: true, hasUserVerification: true, isUserConsenting: true, isUserVerified: true
})

/** Runs a ceremony in the page. @returns its response, or the name of the browser's error */
async function ceremony (method: 'create' | 'get', options: object): Promise<object | string> {
  const parse = method === 'create' ? 'parseCreationOptionsFromJSON' : 'parseRequestOptionsFromJSON'
  const { value } = await firefox<{ value: object | string }>('WebDriver:ExecuteAsyncScript', {
    script: `const [options, done] = arguments
      navigator.credentials.${method}({ publicKey: PublicKeyCredential.${parse}(options) })
        .then((credential) => done(credential.toJSON()), (error) => done(error.name))`,
    args: [options],
    sandbox: null,
    newSandbox: false
  })
  return value
}

t.test('K1 it registers and logs in, and registers no token twice', async (t) => {
  const ada = await signUp(app, 'ada')
  expect(200, await ada.login())
  const created = await ceremony('create', (await creation(ada)).options)
  t.equal(outcome(await confirm(ada, created as object)), '200', JSON.stringify(created).slice(0, 100))
  const session = ada.elsewhere()
  expect(200, await session.login())
  for (let i = 0; i < 2; i++) {
    const asserted = await ceremony('get', await challenge(session))
    t.equal(outcome(await answer(session, asserted as object)), '200', JSON.stringify(asserted).slice(0, 100))
  }
  t.match(session.claims(), { acr: 'phr' })
  t.equal(await ceremony('create', (await creation(session)).options), 'InvalidStateError')
})

t.test('K2 a page of another origin may not name our RP id', async (t) => {
  const bob = await signUp(app, 'bob')
  expect(200, await bob.login())
  const { options } = await creation(bob)
  await firefox('WebDriver:Navigate', { url: `http://app.localhost:${port}/livez` })
  t.equal(await ceremony('create', options), 'SecurityError')
})
