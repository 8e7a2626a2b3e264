/** Sign-in, set-up and code in a second browser: Debian's Firefox. */
import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { phoneOf, readQr } from '../helpers/browser.js'
import { freePort } from '../helpers/free-port.js'
import { startFirefox } from '../helpers/marionette.js'
import { need } from '../helpers/need.js'
import { signUp } from '../helpers/person.js'
import { until } from '../helpers/wait.js'

const executablePath = await need('firefox-esr')
t.setTimeout(180_000)
const port = await freePort()
const origin = `http://localhost:${port}`
const { app, clock } = await freshApp(t, { PASSKEY_ORIGINS: origin })
await app.listen({ port, host: '127.0.0.1' })
const firefox = await startFirefox(t, executablePath)
const ada = await signUp(app, 'ada')
const WAIT_MS = 30_000

/** Key by which WebDriver refers to an element. */
const REFERENCE = 'element-6066-11e4-a52e-4f735466cecf'
/** Elements that a selector matches and whose text or label begins with a text, in shadow roots too. */
const FIND = `const [selector, text] = arguments
  const all = (root) => [...root.querySelectorAll('*')].flatMap((one) => one.shadowRoot ? [one, ...all(one.shadowRoot)] : [one])
  return all(document).find((one) => one.matches(selector) && one.checkVisibility() &&
    (one.labels?.[0] ?? one).textContent.trim().startsWith(text)) ?? null`

async function find (selector: string, text = ''): Promise<string> {
  return await until(`${selector} ${text}`, async () => {
    const parameters = { script: FIND, args: [selector, text] }
    const { value } = await firefox<{ value: Record<string, string> | null }>('WebDriver:ExecuteScript', parameters)
    return value?.[REFERENCE]
  }, WAIT_MS)
}

const press = async (name: string) => { await firefox('WebDriver:ElementClick', { id: await find('button', name) }) }
const fill = async (label: string, text: string) => {
  await firefox('WebDriver:ElementSendKeys', { id: await find('input', label), text })
}
async function signIn (): Promise<void> {
  await fill('Username', 'ada')
  await fill('Password', ada.password)
  await press('Sign in')
}

t.test('sign-in, set-up with the QR code as read from the pixels, sign-out, sign-in and the code', async (t) => {
  await firefox('WebDriver:Navigate', { url: origin })
  await signIn()
  await press('Set up')
  await press('Authenticator app')
  const { value } = await firefox<{ value: string }>('WebDriver:TakeScreenshot', { id: await find('svg.qr'), full: false })
  const phone = phoneOf(readQr(Buffer.from(value, 'base64')), clock)
  await firefox('WebDriver:ElementClick', { id: await find('input[type=checkbox]') })
  await fill('Code from your authenticator app', await phone.nextCode())
  await press('Confirm')
  await find('p', 'Your second factor is set up.')
  await press('Sign out')
  await find('p', 'You are signed out.')
  await signIn()
  await fill('Code from your authenticator app', await phone.nextCode())
  await press('Verify')
  await find('p', 'Signed in as ada')
  t.match((await ada.login()).json(), { otpRequired: true })
})

t.test('a passkey is added, and signs in', async (t) => {
  await firefox('WebAuthn:AddVirtualAuthenticator', {
    protocol: 'ctap2_1',
    transport: 'internal',
    hasResidentKey: true,
    hasUserVerification: true,
    isUserConsenting: true,
    isUserVerified: true
  })
  await press('Add another one')
  await fill('Name', 'Laptop')
  await press('Passkey')
  await press('Create the passkey')
  await find('button', 'Rename')
  await find('strong', 'Laptop')
  await press('Sign out')
  await find('p', 'You are signed out.')
  await signIn()
  await press('Use a passkey')
  await press('Use a passkey')
  await find('p', 'Signed in as ada')
  t.match((await ada.login()).json(), { otpMethods: ['totp', 'passkey', 'recovery_code'] })
})
