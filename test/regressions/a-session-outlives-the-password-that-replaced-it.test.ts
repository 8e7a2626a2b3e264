/**
 * Pages: a user without a second factor who took some minutes to give the password again got another session, and the former one went on:
 * it was ended with the access token from before the request, which had expired.
 */
import t from 'tap'
import { startPages } from '../helpers/pages.js'
import { signUp } from '../helpers/person.js'

t.setTimeout(120_000)
const { app, clock, origin, visit } = await startPages(t, { OTP_FRESH_SECONDS: '60' })

t.test('the password, given after the access token expired, leaves one session', async (t) => {
  const { password } = await signUp(app, 'ada')
  const { page, fill, press, sees, complaints } = await visit(t)
  const pass = async (seconds: number) => {
    await clock.advance(seconds)
    await page.clock.fastForward(seconds * 1000)
  }
  await page.clock.install({ time: await clock.now() })
  await page.goto(origin)
  await fill('Username', 'ada')
  await fill('Password', password)
  await press('Sign in')
  await sees('Signed in as ada')
  await pass(100)
  await page.reload()
  await press('Show the sessions')
  await sees('Confirm that it is you first')
  await pass(320)
  await page.locator('dialog').getByLabel('Password').fill(password)
  await page.locator('dialog').getByRole('button', { name: 'Verify' }).click()
  await page.locator('dialog').waitFor({ state: 'detached' })
  const sessions = await page.evaluate('document.querySelector("cs-app").ask("GET", "account/sessions")')
  t.equal((sessions as unknown[]).length, 1)
  t.same(complaints, [])
})
