/** Tabs of one session in Chromium, and sessions that end elsewhere. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { chromium, type Page, type Route } from 'playwright-core'
import { watch } from '../helpers/browser.js'
import { CHROMIUM_ARGUMENTS } from '../helpers/chromium.js'
import { startPages } from '../helpers/pages.js'
import { signUp } from '../helpers/person.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

t.setTimeout(240_000)
const { app, clock, origin, executablePath, visit } = await startPages(t)

async function signIn (name: string, given?: Page) {
  const person = await signUp(app, name)
  const visitor = given === undefined ? await visit(t) : await watch(given, origin)
  await visitor.page.goto(origin)
  await visitor.fill('Username', name)
  await visitor.fill('Password', person.password)
  await visitor.press('Sign in')
  await visitor.sees(`Signed in as ${name}`)
  return { ...visitor, person }
}

/** A browser whose tabs can be duplicated as its menu does: by an extension, as no protocol has a command for it. */
async function duplicatingBrowser () {
  const [extension, profile] = [await temporaryFolder(t), await temporaryFolder(t)]
  const manifest = { manifest_version: 3, name: 'duplicate', version: '1', background: { service_worker: 'worker.js' } }
  await writeFile(join(extension, 'manifest.json'), JSON.stringify(manifest))
  await writeFile(join(extension, 'worker.js'), '')
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    ignoreDefaultArgs: ['--disable-extensions'],
    args: [...CHROMIUM_ARGUMENTS, `--disable-extensions-except=${extension}`, `--load-extension=${extension}`]
  })
  t.teardown(() => context.close())
  const worker = context.serviceWorkers()[0] ?? await context.waitForEvent('serviceworker')
  return {
    page: context.pages()[0]!,
    async duplicate (): Promise<Page> {
      const [copy] = await Promise.all([
        context.waitForEvent('page'),
        worker.evaluate('chrome.tabs.query({ active: true }).then(([{ id }]) => chrome.tabs.duplicate(id)).then(() => {})')
      ])
      return copy
    }
  }
}

/** A tab that the browser duplicates has a copy of the session storage, as one that a script opens. */
async function duplicate (page: Page) {
  const [copy] = await Promise.all([page.context().waitForEvent('page'), page.evaluate('void open(location.href)')])
  const tab = await watch(copy, origin)
  await copy.reload()
  return tab
}
const refreshToken = async (page: Page) => await page.evaluate<string>('sessionStorage.getItem("countersign-refresh")')

t.test('a duplicated tab has the same session, and neither ends the other', async (t) => {
  const first = await signIn('twin')
  const second = await duplicate(first.page)
  await second.sees('Signed in as twin')
  for (let round = 0; round < 3; round++) {
    await clock.advance(301)
    // Both need a new access token at the same time.
    await Promise.all([first, second].map(async ({ page }) => {
      await page.evaluate('document.querySelector("cs-app").ask("GET", "account")')
    }))
    t.equal(await refreshToken(first.page), await refreshToken(second.page))
  }
  await first.page.reload()
  await second.page.reload()
  await first.sees('Signed in as twin')
  await second.sees('Signed in as twin')

  await first.press('Sign out')
  await second.sees('Username')
  t.same([...first.complaints, ...second.complaints], [])
})

/** Answers of refreshes that come late: the service made them before the session went on, or after. */
const late: ReadonlyArray<readonly [when: string, fetches: 'before' | 'after']> = [['before', 'before'], ['after', 'after']]
for (const [when, fetches] of late) {
  t.test(`an answer to a refresh that was made ${when} another tab changed the password ends neither tab's session`, async (t) => {
    const name = `late-${when}`
    const first = await signIn(name)
    const second = await duplicate(first.page)
    await second.sees(`Signed in as ${name}`)
    let [reached, release] = [() => {}, () => {}]
    const isReached = new Promise<void>((resolve) => { reached = resolve })
    const isReleased = new Promise<void>((resolve) => { release = resolve })
    await first.page.route('**/token/refresh', async (route) => {
      const early = fetches === 'before' ? await route.fetch() : undefined
      reached()
      await isReleased
      await route.fulfill({ response: early ?? await route.fetch() })
    })
    await first.page.route('**/account', async (route) => {
      await first.page.unroute('**/account')
      await route.fulfill({ status: 401, headers: { 'x-refusal': 'TOKEN_INVALID' }, json: {} })
    })
    const asking = first.page.evaluate<string>('document.querySelector("cs-app").ask("GET", "account").then(({ username }) => username)')
    await isReached
    await second.fill('Current password', first.person.password)
    await second.fill('New password', 'a stapler, a horse, a battery')
    await second.press('Change the password')
    await second.sees(/password is changed/i)
    release()
    t.equal(await asking, name)
    t.equal(await refreshToken(first.page), await refreshToken(second.page))
    for (const { page, sees } of [first, second]) {
      await page.reload()
      await sees(`Signed in as ${name}`)
    }
  })
}

t.test('another session of the same browser is left alone', async (t) => {
  const first = await signIn('apart')
  const other = await watch(await first.page.context().newPage(), origin)
  await other.page.goto(`${origin}/me`)
  await other.sees('Create an account')
  await other.fill('Username', 'apart')
  await other.fill('Password', first.person.password)
  await other.press('Sign in')
  await other.sees('Signed in as apart')
  await other.press('Sign out')
  await other.sees('You are signed out.')
  await first.page.reload()
  await first.sees('Signed in as apart')
  t.same(other.complaints, [])
})

t.test('a session that ended elsewhere leads to the sign-in, once something is asked', async (t) => {
  const here = await signIn('ended')
  t.equal((await here.person.login()).statusCode, 200)
  t.equal((await here.person.request('DELETE', '/account/sessions')).statusCode, 204)
  await clock.advance(2)
  await here.fill('New address', 'ended@example.com')
  await here.press('Change the address')
  await here.sees('Your session has ended. Sign in again.')
  t.equal(await refreshToken(here.page), null)
})

t.test('the service is away, and comes back: nothing is lost', async (t) => {
  const here = await signIn('patient')
  await here.page.context().setOffline(true)
  await here.fill('New address', 'patient@example.com')
  await here.press('Change the address')
  await here.sees('There is no answer. Check your connection and try again.')
  await here.page.context().setOffline(false)
  await here.press('Change the address')
  await here.sees('The address is saved.')
  t.same(here.complaints, [])
})

t.test('the service is away while a page starts: it starts once it is asked again', async () => {
  const here = await signIn('late')
  for (const path of ['**/token/refresh', '**/account']) {
    await here.page.route(path, async (route) => { await route.abort() })
    await here.page.reload()
    await here.sees('There is no answer. Check your connection and try again.')
    await here.press('Try again')
    await here.sees('There is no answer. Check your connection and try again.')
    await here.page.unroute(path)
    await here.press('Try again')
    await here.sees('Signed in as late')
  }
})

t.test('an answer that does not come, or is no answer of the service, ends no session and keeps nobody waiting', async () => {
  const here = await signIn('stalled')
  const fulfil = (contentType: string, body: string) => async (route: Route) => { await route.fulfill({ status: 200, contentType, body }) }
  const faults: Array<readonly [path: string, answer: (route: Route) => Promise<void>]> = [
    ['**/token/refresh', async () => {}],
    ['**/token/refresh', fulfil('application/json', '{"access":"eyJ')],
    ['**/account', fulfil('text/html', '<h1>Log in to this network</h1>')]
  ]
  for (const [path, answer] of faults) {
    await here.page.route(path, answer)
    await here.page.reload()
    await here.sees('There is no answer. Check your connection and try again.')
    await here.page.unroute(path)
    await here.press('Try again')
    await here.sees('Signed in as stalled')
  }
})

t.test('tokens are in no address, no history and no storage that outlives the tab', async (t) => {
  const here = await signIn('private')
  const kept = await here.page.evaluate<string>('JSON.stringify([localStorage, document.cookie, location.href, history.state])')
  t.notMatch(kept, /eyJ/)
  t.same(await here.page.evaluate('Object.keys(sessionStorage)'), ['countersign-refresh'])
})

t.test('a tab that the browser itself duplicates has the same session, and its sign-out ends both', async (t) => {
  const { page, duplicate } = await duplicatingBrowser()
  const first = await signIn('double', page)
  const second = await watch(await duplicate(), origin)
  await second.sees('Signed in as double')
  t.equal(await refreshToken(page), await refreshToken(second.page))
  await clock.advance(301)
  await page.reload()
  await second.page.reload()
  await second.sees('Signed in as double')
  await second.press('Sign out')
  await first.sees('Username')
  t.same([...first.complaints, ...second.complaints], [])
})
