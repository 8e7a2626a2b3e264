/** The page of staff in Chromium. */
import t from 'tap'
import { printed } from '../helpers/browser.js'
import { isMirrored } from '../helpers/mirrored.js'
import { startPages } from '../helpers/pages.js'
import { signUp } from '../helpers/person.js'
import { staffAt } from '../helpers/staff.js'

t.setTimeout(240_000)
const { app, db, clock, origin, visit } = await startPages(t)
const grace = await staffAt({ app, db })
const ada = await signUp(app, 'ada')
await ada.enrol()

const { page, complaints, press, fill, sees, faults } = await visit(t)
const giveCode = async () => {
  await fill('Code from your authenticator app', await grace.nextCode())
  await press('Verify')
}

t.test('it answers without a session and asks for one', async (t) => {
  t.equal((await page.goto(`${origin}/staff`))?.status(), 200)
  await fill('Username', 'grace')
  await fill('Password', grace.password)
  await press('Sign in')
  await giveCode()
  await sees('Signed in as grace')
  t.equal(new URL(page.url()).pathname, '/staff')
})

t.test('it finds accounts by name or address, and shows one', async (t) => {
  await fill('Name or e-mail address', 'ada')
  await press('Find')
  await sees('Accounts found: 1')
  t.same(await faults('staff-list'), [])
  await press('ada')
  await sees('Wrong codes in a row')
  await sees('Authenticator')
  await sees('Second factor switched on')
  t.same(await faults('staff-account'), [])
  await isMirrored(t, page, 'html')
})

t.test('a change asks for a fresh proof, and goes on: the reset, with a code that is shown once', async (t) => {
  await clock.advance(301)
  await press('Reset the second factor')
  await fill('Reason', 'Lost the <b>phone</b>')
  t.same(await faults('staff-reason'), [])
  await press('Reset the second factor')
  await sees('Confirm that it is you first')
  await giveCode()
  await sees('The second factor is reset.')
  const code = (await page.locator('cs-staff p.codes').textContent())!.trim()
  t.same((await printed(page, () => press('Print the code'))).split(/\s*\n\s*/).filter(Boolean), ['Set-up code for ada', code])
  t.match(code, /^[0-9A-Z]{4}(-[0-9A-Z]{4}){5}$/)
  t.same(await faults('staff-set-up-code'), [])
  await sees('Lost the <b>phone</b>')
  await press('I have handed it over')
  t.equal(await page.getByText(code).count(), 0)

  const user = await visit(t)
  await user.page.goto(origin)
  await user.fill('Username', 'ada')
  await user.fill('Password', ada.password)
  await user.press('Sign in')
  await user.sees('Your second factor was reset.')
  await user.fill('Set-up code', code)
  t.same(await user.faults('sign-in-set-up-code'), [])
  await user.press('Sign in')
  await user.sees('Set up a second factor first.')
  t.same(await user.faults('set-up-first'), [])
  t.same(user.complaints, [])
})

t.test('sessions, unlock, deactivate and reactivate', async () => {
  await press('Back to the list')
  await press('ada')
  await press('End all sessions')
  await sees('All sessions have ended.')
  await press('Unlock')
  await sees('The account is unlocked.')
  await press('Deactivate')
  await fill('Reason', 'Left')
  await press('Deactivate')
  await sees('The account is deactivated.')
  await press('Reactivate')
  await fill('Reason', 'Came back')
  await press('Reactivate')
  await sees('The account is active again.')
})

t.test('others are told that it is not for them', async (t) => {
  const bob = await signUp(app, 'bob')
  const other = await visit(t)
  await other.page.goto(`${origin}/staff`)
  await other.fill('Username', 'bob')
  await other.fill('Password', bob.password)
  await other.press('Sign in')
  await other.sees('Only staff with a second factor may use this page.')
  t.same(await other.faults('staff-refused'), [])
})

t.test('nothing complained', async (t) => { t.same(complaints, []) })
