/** The reload and the back button in each state of the pages, in Chromium. */
import t from 'tap'
import { phoneOf } from '../helpers/browser.js'
import { startPages } from '../helpers/pages.js'
import { signUp } from '../helpers/person.js'
import { staffAt } from '../helpers/staff.js'

t.setTimeout(300_000)
const { app, db, clock, origin, visit } = await startPages(t)
const ada = await signUp(app, 'ada')
const grace = await staffAt({ app, db })
const { page, complaints, press, fill, sees } = await visit(t)
let otpUrl = ''

/** Judges that a reload shows a text, and the way back from another page too, also where the browser kept the page as it was. */
async function comesBack (text: string, isSame: () => Promise<void> = async () => {}): Promise<void> {
  const ways = [
    () => page.reload(),
    async () => {
      await page.goto(`${origin}/livez`)
      await page.goBack()
    },
    // Playwright switches that cache of Chromium off.
    () => Promise.all([page.waitForEvent('load'), page.evaluate('dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }))')])
  ]
  for (const go of ways) {
    await go()
    await sees(text)
    await isSame()
  }
}
const signIn = async ({ username, password }: { username: string, password: string }) => {
  await fill('Username', username)
  await fill('Password', password)
  await press('Sign in')
}

t.test('signed out: the sign-in, from the other forms too', async () => {
  await page.goto(origin)
  await sees('Create an account')
  await comesBack('Create an account')
  await press('Create an account')
  await sees('I have an account')
  await comesBack('Sign in')
})

t.test('a set-up goes on with the same key', async (t) => {
  await signIn(ada)
  await press('Set up')
  await press(/^Authenticator app/)
  await sees('Scan this code')
  const key = await page.locator('code.secret').textContent()
  await comesBack('Scan this code', async () => { t.equal(await page.locator('code.secret').textContent(), key) })
  otpUrl = `otpauth://totp/x?secret=${key!.replaceAll(/\s/g, '')}`
  await page.getByLabel('I have saved them').check()
  await fill('Code from your authenticator app', await phoneOf(otpUrl, clock).nextCode())
  await press('Confirm')
  await sees('Your second factor is set up.')
})

t.test('inside: a step that was not finished is not done, and codes are shown once', async (t) => {
  await comesBack('Codes left: 5')
  await press('Switch off the second factor')
  await sees('Remove every factor and all recovery codes?')
  await comesBack('Codes left: 5')
  await press('Make new codes')
  const codes = page.locator('cs-factors ol.codes')
  await codes.waitFor()
  await comesBack('Codes left: 5', async () => { t.equal(await codes.count(), 0) })
  await clock.advance(301)
  await press('Make new codes')
  await sees('Confirm that it is you first')
  await comesBack('Codes left: 5', async () => { t.equal(await page.locator('dialog').count(), 0) })
})

t.test('after the sign-out nothing of the account comes back', async (t) => {
  await press('Sign out')
  await sees('You are signed out.')
  await comesBack('Create an account', async () => { t.equal(await page.getByText('Signed in as').count(), 0) })
  await page.goBack()
  await page.goForward()
  await sees('Create an account')
})

t.test('the challenge waits on', async () => {
  await clock.advance(30)
  await signIn(ada)
  await sees('Confirm that it is you')
  await comesBack('Confirm that it is you')
  await clock.advance(301)
  await page.reload()
  await sees('Create an account')
})

t.test('staff: the list comes back', async (t) => {
  await page.goto(`${origin}/staff`)
  await signIn(grace)
  await fill('Code from your authenticator app', await grace.nextCode())
  await press('Verify')
  await press('ada')
  await sees('Wrong codes in a row')
  await comesBack('Name or e-mail address')
  t.equal(new URL(page.url()).pathname, '/staff')
  t.same(complaints, [])
})

t.test('a set-up that one user began is nothing to the next one in the tab', async (t) => {
  const { page, press, fill, sees } = await visit(t)
  await page.goto(origin)
  for (const name of ['bob', 'eve']) {
    const { username, password } = await signUp(app, name)
    await fill('Username', username)
    await fill('Password', password)
    await press('Sign in')
    await press('Set up')
    t.equal(await page.getByLabel('Name (optional)').inputValue(), '', name)
    await fill('Name (optional)', `The phone of ${name}`)
    await press(/^Authenticator app/)
    await sees('Scan this code')
    await press('Sign out')
    await sees('You are signed out.')
  }
})
