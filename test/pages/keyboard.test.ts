/** Sign-in, set-up, code and the own security in Chromium, by the keyboard alone. */
import type { Locator } from 'playwright-core'
import t from 'tap'
import { phoneOf } from '../helpers/browser.js'
import { startPages } from '../helpers/pages.js'
import { signUp } from '../helpers/person.js'
import { staffAt } from '../helpers/staff.js'

t.setTimeout(180_000)
const { app, db, clock, origin, visit } = await startPages(t)
const ada = await signUp(app, 'ada')
const { page, complaints, sees, scan } = await visit(t)
let phone: Awaited<ReturnType<typeof phoneOf>>

/** Keys from what has the focus to a control that is next to it. More of them mean that the focus was not moved to what changed. */
const FEW = 6
/** Keys through the longest page. */
const MANY = 40

const button = (name: string | RegExp) => page.getByRole('button', { name, exact: true })
const field = (label: string) => page.getByLabel(label, { exact: true })

/** Presses Tab until a control has the focus, and shows it. */
async function reach (control: Locator, { most = FEW, key = 'Tab' } = {}): Promise<void> {
  await control.waitFor()
  for (let pressed = 0; pressed <= most; pressed++) {
    if (await control.and(page.locator(':focus-visible')).count() > 0) return
    await page.keyboard.press(key)
  }
  throw new Error(`${String(control)} is not reached by ${most} keys`)
}

async function type (label: string, text: string, most = FEW): Promise<void> {
  await reach(field(label), { most })
  await page.keyboard.type(text)
}

async function press (name: string | RegExp, most = FEW): Promise<void> {
  await reach(button(name), { most })
  await page.keyboard.press('Enter')
}

async function signIn ({ username, password } = ada): Promise<void> {
  await type('Username', username)
  await type('Password', password)
  await page.keyboard.press('Enter')
}

t.test('sign-in', async () => {
  await page.goto(origin)
  await signIn()
  await sees('Signed in as ada')
})

t.test('set-up: the app, the codes, the first code', async () => {
  await press('Set up')
  await press(/^Authenticator app/)
  await sees('Scan this code')
  phone = phoneOf(await scan(), clock)
  await reach(page.getByLabel('I have saved them'))
  await page.keyboard.press('Space')
  await type('Code from your authenticator app', await phone.nextCode())
  await page.keyboard.press('Enter')
  await sees('Your second factor is set up.')
})

t.test('sign-out, sign-in and the code', async () => {
  await reach(button('Sign out'), { most: MANY, key: 'Shift+Tab' })
  await page.keyboard.press('Enter')
  await sees('You are signed out.')
  await signIn()
  await sees('Confirm that it is you')
  await type('Code from your authenticator app', await phone.nextCode())
  await page.keyboard.press('Enter')
  await sees('Signed in as ada')
})

t.test('the own security: new codes, a dialog of a proof that keeps the focus, and the second factor off', async (t) => {
  await press('Make new codes', MANY)
  await page.locator('cs-factors ol.codes').waitFor()
  await press('I have saved them')
  await clock.advance(301)
  await press('Switch off the second factor', MANY)
  await press('Switch off the second factor')
  await sees('Confirm that it is you first')
  await type('Code from your authenticator app', await phone.nextCode())
  await page.keyboard.press('Enter')
  await sees('The second factor is off.')
  t.same(complaints, [])
})

t.test('staff: find an account, end a session, reset with a reason and a fresh proof, hand the code over', async (t) => {
  const grace = await staffAt({ app, db })
  const bob = await (await signUp(app, 'bob')).enrol()
  await reach(button('Sign out'), { most: MANY, key: 'Shift+Tab' })
  await page.keyboard.press('Enter')
  await sees('You are signed out.')
  await page.goto(`${origin}/staff`)
  await signIn(grace)
  await type('Code from your authenticator app', await grace.nextCode())
  await page.keyboard.press('Enter')
  await sees('Signed in as grace')
  await type('Name or e-mail address', bob.username)
  await page.keyboard.press('Enter')
  await sees('Accounts found: 1')
  await press('bob')
  await sees('Wrong codes in a row')
  await press('End all sessions', MANY)
  await sees('All sessions have ended.')
  await clock.advance(301)
  await press('Reset the second factor')
  await type('Reason', 'Lost the phone')
  await page.keyboard.press('Enter')
  await sees('Confirm that it is you first')
  await type('Code from your authenticator app', await grace.nextCode())
  await page.keyboard.press('Enter')
  await sees('The second factor is reset.')
  await press('I have handed it over')
  await press('Back to the list', MANY)
  await reach(page.getByLabel('Name or e-mail address'))
  t.same(complaints, [])
})
