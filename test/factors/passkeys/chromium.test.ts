/** Passkeys in a browser: Chromium, with the virtual authenticator of its DevTools. */
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { outcome } from '../../helpers/answers.js'
import { freshApp } from '../../helpers/app.js'
import { passkeyPage, startChromium, type AuthenticatorOptions } from '../../helpers/chromium.js'
import { blocksAfter } from '../../helpers/doc-blocks.js'
import { doorOf } from '../../helpers/door.js'
import { freePort } from '../../helpers/free-port.js'
import { need } from '../../helpers/need.js'
import { answer, challenge, confirm, creation } from '../../helpers/passkeys.js'
import { expect, signUp, type Person } from '../../helpers/person.js'
import { countEvents } from '../../helpers/stored.js'

const executablePath = await need('chromium')
const isAttached = process.env['COUNTERSIGN_TEST_ATTACHED'] === '1'
const port = await freePort()
const [ours, another] = isAttached ? ['app.localhost', 'evil.localhost'] : ['localhost', 'app.localhost']
const { app, db } = await freshApp(t, { PASSKEY_ORIGINS: `http://${ours}:${port}` })
await app.listen({ port, host: '127.0.0.1' })
t.setTimeout(240_000)

const browser = await startChromium(t, executablePath)
const pageAt = (host: string) => passkeyPage(t, browser, `http://${host}:${port}${isAttached ? '/app/healthy' : '/livez'}`)
const page = await pageAt(ours)

async function loggedIn (name: string): Promise<Person> {
  const person = await signUp(app, name)
  expect(200, await person.login())
  return person
}

/** Registers a new authenticator in the page. */
async function add (person: Person, options: AuthenticatorOptions = {}): Promise<void> {
  await page.insert(options)
  expect(200, await confirm(person, await page.create((await creation(person)).options)))
}

const use = async (person: Person) => outcome(await answer(person, await page.get(await challenge(person))))
const REFUSED = '400 PASSKEY_INVALID'
const listed = async (person: Person) => (await person.request('GET', '/totp/devices')).json<object[]>()

t.test('K1 it registers and logs in, with each sort of authenticator', async (t) => {
  const sorts: Record<string, AuthenticatorOptions> = {
    'a platform': {},
    'a security key with a PIN': { transport: 'usb' },
    'a security key without resident keys': { transport: 'usb', hasResidentKey: false },
    'a security key that only tests presence': { transport: 'usb', hasUserVerification: false },
    'a security key of U2F': { protocol: 'u2f', transport: 'usb', hasResidentKey: false, hasUserVerification: false },
    'a password manager': { defaultBackupEligibility: true, defaultBackupState: true }
  }
  for (const [name, options] of Object.entries(sorts)) {
    const person = await loggedIn(`sort${Object.keys(sorts).indexOf(name)}`)
    await add(person, options)
    t.match(await page.credentials(), [{ isResidentCredential: false }], name)
    const session = person.elsewhere()
    expect(200, await session.login())
    t.equal(outcome(await session.request('GET', '/session?required')), '403 OTP_REQUIRED', name)
    t.equal(await use(session), '200', name)
    t.match(session.claims(), { acr: 'phr' }, name)
    t.match(await listed(session), [{
      kind: 'passkey', transports: [options.transport ?? 'internal'], backedUp: options.defaultBackupState ?? false
    }], name)
  }
})

t.test('K1 a resident passkey, which a client makes against the options, says whose it is', async (t) => {
  const person = await loggedIn('resident')
  await page.insert()
  const { options } = await creation(person)
  const authenticatorSelection = { ...options.authenticatorSelection, residentKey: 'required', requireResidentKey: true }
  expect(200, await confirm(person, await page.create({ ...options, authenticatorSelection } as never)))
  t.match(await page.credentials(), [{ isResidentCredential: true }])
  const response = await page.get(await challenge(person))
  t.equal(response.response.userHandle, options.user.id)
  t.equal(outcome(await answer(person, response)), '200')
})

t.test('K1 the browser registers no authenticator twice, and uses no passkey but those of the user', async (t) => {
  const person = await loggedIn('twice')
  await add(person)
  const { options } = await creation(person)
  t.equal(options.excludeCredentials.length, 1)
  await t.rejects(page.create(options), { message: 'InvalidStateError' })
  await page.insert()
  await t.rejects(page.get(await challenge(person)), { message: 'NotAllowedError' })
})

t.test('K3 a signature, presence or flag that the authenticator falsifies is refused', async (t) => {
  const person = await loggedIn('falsified')
  const synced = { defaultBackupEligibility: true, defaultBackupState: false }
  await page.insert(synced)
  await page.falsify({ isBadUP: true })
  t.equal(outcome(await confirm(person, await page.create((await creation(person)).options))), REFUSED, 'registered without presence')
  await add(person, synced)

  for (const bits of [{ isBogusSignature: true, isBadUP: false }, { isBogusSignature: false, isBadUP: true }]) {
    await page.falsify(bits)
    t.equal(await use(person), REFUSED, JSON.stringify(bits))
  }
  await page.falsify({ isBadUP: false, isBadUV: true })
  t.equal(await use(person), '200', 'user verification is preferred, not required')

  await page.falsify({ isBadUV: false })
  const { credentialId } = (await page.credentials())[0]!
  await page.setCredentialProperties(credentialId, { backupState: true })
  t.equal(await use(person), '200')
  t.match(await listed(person), [{ backedUp: true }], 'the backup state may change')
  await page.setCredentialProperties(credentialId, { backupEligibility: false, backupState: false })
  t.equal(await use(person), REFUSED, 'the eligibility may not')
})

t.test('K3 user verification, where it is required', async (t) => {
  const { app } = await freshApp(t, { PASSKEY_ORIGINS: `http://${ours}:${port}`, PASSKEY_USER_VERIFICATION: 'required' })
  const person = await signUp(app, 'strict')
  expect(200, await person.login())
  await page.insert({ transport: 'usb', hasUserVerification: false })
  await t.rejects(page.create((await creation(person)).options), { message: 'NotAllowedError' }, 'the browser offers no such key')
  await page.insert()
  await page.falsify({ isBadUV: true })
  t.equal(outcome(await confirm(person, await page.create((await creation(person)).options))), REFUSED)
  await add(person)
  await page.falsify({ isBadUV: true })
  t.equal(await use(person), REFUSED)
  await page.falsify({ isBadUV: false })
  t.equal(await use(person), '200')
})

t.test('K3 a passkey of another user is refused, though the browser and the signature are right', async (t) => {
  const [eve, bob] = [await loggedIn('eve'), await loggedIn('bob')]
  await add(eve)
  await add(bob)
  const { allowCredentials } = await challenge(bob)
  t.equal(outcome(await answer(eve, await page.get({ ...await challenge(eve), allowCredentials }))), REFUSED)
  t.equal(await use(bob), '200')
})

t.test('K3 a copy of an authenticator leaves an event', async (t) => {
  const person = await loggedIn('copied')
  await add(person)
  const [before] = await page.credentials()
  t.equal(await use(person), '200')
  t.equal(await use(person), '200')
  await page.insert()
  await page.add(before!)
  t.equal(await use(person), REFUSED)
  t.equal(await countEvents(db, person, 'passkey_cloned'), 1)
})

t.test('K2 a page of another origin gets no answer that counts', async (t) => {
  const person = await loggedIn('phished')
  await add(person)
  const phisher = await pageAt(another!)
  const options = await challenge(person)
  await t.rejects(phisher.get(options), { message: 'SecurityError' }, 'it may not name our RP id')
  // The worst case: the passkey itself is copied, bound to the domain of the phishing page.
  const [credential] = await page.credentials()
  await phisher.add({ ...credential!, rpId: another! })
  t.equal(outcome(await answer(person, await phisher.get({ ...options, rpId: another! }))), REFUSED)
  t.equal(await use(person), '200')
})

t.test('the lines of docs/passkeys.md work in a page, over HTTP', async (t) => {
  const person = await loggedIn('reader')
  const door = doorOf(app)
  const [create, get] = blocksAfter(await readFile('docs/passkeys.md', 'utf8'), 'in a page')
  await page.insert()
  const run = async (lines: string) => {
    const { access } = person
    const { cookie, ...headers } = { cookie: '', ...door.headers(access!) }
    const answer = await page.evaluate<{ status: number, body: { access: string } }>(`(async () => {
      document.cookie = ${JSON.stringify(`${cookie}; path=/`)}
      async function post (path, body = {}) {
        const url = path.replace('/totp', ${JSON.stringify(door.path('/totp/').replace(/\/$/, ''))})
        const headers = { 'content-type': 'application/json', ...${JSON.stringify(headers)} }
        const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
        last = { status: answer.status, body: await answer.json() }
        return last.body
      }
      let last
      ${lines}
      return last
    })()`)
    person.access = answer.body.access
    return answer.status
  }
  t.equal(await run(create!), 200)
  t.equal(await run(get!), 200)
  t.match(person.claims(), { acr: 'phr' })
})
