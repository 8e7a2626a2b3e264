import { chromium, type Browser } from 'playwright-core'
import type {
  AuthenticationResponseJSON, PublicKeyCredentialCreationOptionsJSON, PublicKeyCredentialRequestOptionsJSON, RegistrationResponseJSON
} from '../../src/core/passkeys/webauthn.js'
import type { Owner } from './teardown.js'

export const CHROMIUM_ARGUMENTS = ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage']

/** Browser of all files of a process of `npm test`. */
let shared: Browser | undefined

/** Starts Chromium, or returns that of an earlier file of this process. Its windows close at the end. */
export async function startChromium (t: Owner, executablePath: string): Promise<Browser> {
  const launch = () => chromium.launch({ executablePath, args: CHROMIUM_ARGUMENTS })
  if (!process.connected) {
    const browser = await launch()
    t.teardown(() => browser.close())
    return browser
  }
  if (shared?.isConnected() !== true) {
    const browser = shared = await launch()
    process.once('disconnect', () => { void browser.close() })
  }
  const browser = shared
  t.teardown(() => Promise.all(browser.contexts().map((context) => context.close())))
  return browser
}

/** Virtual authenticator of the DevTools protocol, domain WebAuthn. */
export interface AuthenticatorOptions {
  protocol?: 'ctap2' | 'u2f'
  transport?: 'usb' | 'nfc' | 'ble' | 'internal'
  hasResidentKey?: boolean
  hasUserVerification?: boolean
  isUserVerified?: boolean
  defaultBackupEligibility?: boolean
  defaultBackupState?: boolean
}

/** Credential of a virtual authenticator; binary members are base64. */
export interface VirtualCredential {
  credentialId: string
  isResidentCredential: boolean
  rpId?: string
  privateKey: string
  userHandle?: string
  signCount: number
  backupEligibility?: boolean
  backupState?: boolean
}

/** Flags that a virtual authenticator falsifies in its next answers. */
export interface FalsifiedBits { isBogusSignature?: boolean, isBadUV?: boolean, isBadUP?: boolean }

/** Page with at most one authenticator. A ceremony that the browser refuses rejects with the error's name as the message. */
export interface PasskeyPage {
  url: string
  /** Adds an authenticator in place of the one before. */
  insert (options?: AuthenticatorOptions): Promise<void>
  create (options: PublicKeyCredentialCreationOptionsJSON): Promise<RegistrationResponseJSON>
  get (options: PublicKeyCredentialRequestOptionsJSON): Promise<AuthenticationResponseJSON>
  /** Evaluates an expression in the page. */
  evaluate<Result> (expression: string): Promise<Result>
  credentials (): Promise<VirtualCredential[]>
  add (credential: VirtualCredential): Promise<void>
  setCredentialProperties (credentialId: string, properties: { backupEligibility?: boolean, backupState?: boolean }): Promise<void>
  falsify (bits: FalsifiedBits): Promise<void>
}

const CEREMONY = `async ({ method, parse, options }) => {
  try {
    const credential = await navigator.credentials[method]({ publicKey: PublicKeyCredential[parse](options) })
    return { response: credential.toJSON() }
  } catch (error) {
    return { refused: error.name }
  }
}`

const STANDARD: Required<Omit<AuthenticatorOptions, 'defaultBackupEligibility' | 'defaultBackupState'>> = {
  protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true
}

type Command =
  | 'WebAuthn.removeVirtualAuthenticator' | 'WebAuthn.addCredential'
  | 'WebAuthn.setCredentialProperties' | 'WebAuthn.setResponseOverrideBits'

/** Opens a page in a context of its own, with a standard authenticator. */
export async function passkeyPage (t: Owner, browser: Browser, url: string): Promise<PasskeyPage> {
  const context = await browser.newContext()
  t.teardown(() => context.close())
  const page = await context.newPage()
  page.setDefaultTimeout(30_000)
  await page.goto(url)
  const devtools = await context.newCDPSession(page)
  await devtools.send('WebAuthn.enable')
  let authenticatorId: string | undefined

  async function insert (options: AuthenticatorOptions = {}): Promise<void> {
    if (authenticatorId !== undefined) await send('WebAuthn.removeVirtualAuthenticator', {})
    const added = await devtools.send('WebAuthn.addVirtualAuthenticator', { options: { ...STANDARD, ...options } })
    authenticatorId = added.authenticatorId
  }
  async function send (command: Command, parameters: object): Promise<void> {
    await devtools.send(command, { authenticatorId, ...parameters } as never)
  }
  async function ceremony<Response> (method: 'create' | 'get', parse: string, options: object): Promise<Response> {
    const { response, refused } = await page.evaluate<{ response?: Response, refused?: string }>(
      `(${CEREMONY})(${JSON.stringify({ method, parse, options })})`
    )
    if (refused !== undefined) throw new Error(refused)
    return response!
  }
  await insert()
  return {
    url,
    insert,
    create: (options) => ceremony('create', 'parseCreationOptionsFromJSON', options),
    get: (options) => ceremony('get', 'parseRequestOptionsFromJSON', options),
    evaluate: (expression) => page.evaluate(expression),
    async credentials () {
      const { credentials } = await devtools.send('WebAuthn.getCredentials', { authenticatorId: authenticatorId! })
      return credentials as VirtualCredential[]
    },
    add: (credential) => send('WebAuthn.addCredential', { credential }),
    setCredentialProperties: (credentialId, properties) => send('WebAuthn.setCredentialProperties', { credentialId, ...properties }),
    falsify: (bits) => send('WebAuthn.setResponseOverrideBits', bits)
  }
}
