/** Tabs of one session in Chromium, and sessions that end elsewhere. */
import t from 'tap'
import type { Page } from 'playwright-core'
import { freshApp } from '../helpers/app.js'
import { visit, watch } from '../helpers/browser.js'
import { startChromium } from '../helpers/chromium.js'
import { freePort } from '../helpers/free-port.js'
import { need } from '../helpers/need.js'
import { signUp } from '../helpers/person.js'

const executablePath = await need('chromium')
t.setTimeout(240_000)
const port = await freePort()
const origin = `http://localhost:${port}`
const { app, clock } = await freshApp(t, { PASSKEY_ORIGINS: origin })
await app.listen({ port, host: '127.0.0.1' })
const browser = await startChromium(t, executablePath)

async function signIn (name: string) {
  const person = await signUp(app, name)
  const visitor = await visit(t, browser, origin)
  await visitor.page.goto(origin)
  await visitor.fill('Username', name)
  await visitor.fill('Password', person.password)
  await visitor.press('Sign in')
  await visitor.sees(`Signed in as ${name}`)
  return { ...visitor, person }
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

t.test('tokens are in no address, no history and no storage that outlives the tab', async (t) => {
  const here = await signIn('private')
  const kept = await here.page.evaluate<string>('JSON.stringify([localStorage, document.cookie, location.href, history.state])')
  t.notMatch(kept, /eyJ/)
  t.same(await here.page.evaluate('Object.keys(sessionStorage)'), ['countersign-refresh'])
})
