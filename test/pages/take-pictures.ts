/** `npm run pictures`: takes the pictures of docs/pictures from the real pages, in Chromium, in both themes. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PNG } from 'pngjs'
import t, { type Test } from 'tap'
import { phoneOf, type Visitor } from '../helpers/browser.js'
import { startPages } from '../helpers/pages.js'
import { signUp } from '../helpers/person.js'
import { staffAt } from '../helpers/staff.js'

const FOLDER = join('docs', 'pictures')
const MOST_BYTES = 60_000
const SIZE = { width: 480, height: 640 }

t.setTimeout(240_000)
const { app, db, clock, origin, visit } = await startPages(t, { OTP_ISSUER: 'Acme' })
await mkdir(FOLDER, { recursive: true })

/** Takes a picture of the window in each theme. */
async function take (t: Test, { page }: Visitor, name: string): Promise<void> {
  await page.evaluate('document.activeElement?.blur(); scrollTo(0, 0)')
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    // Chromium compresses quickly, not well.
    const picture = PNG.sync.read(await page.screenshot())
    const small = PNG.sync.write(picture, { colorType: 2, deflateLevel: 9, deflateStrategy: 0, filterType: 0 })
    t.ok(small.length <= MOST_BYTES, `${name}, ${colorScheme}: ${small.length} bytes`)
    await writeFile(join(FOLDER, `${name}-${colorScheme}.png`), small)
  }
}

t.test('sign-in, set-up and the own security', async (t) => {
  const ada = await visit(t, { viewport: SIZE })
  await ada.page.goto(origin)
  await ada.sees('Create an account')
  await take(t, ada, 'sign-in')

  const { password } = await signUp(app, 'ada')
  await ada.fill('Username', 'ada')
  await ada.fill('Password', password)
  await ada.press('Sign in')
  await ada.press('Set up')
  await ada.fill('Name (optional)', 'My phone')
  await ada.press(/^Authenticator app/)
  await ada.sees('Scan this code')
  const phone = phoneOf(await ada.scan(), clock)
  await take(t, ada, 'set-up')

  await ada.page.getByLabel('I have saved them').check()
  await ada.fill('Code from your authenticator app', await phone.nextCode())
  await ada.press('Confirm')
  await ada.sees('Your second factor is set up.')
  // Without that notice.
  await ada.page.reload()
  await ada.sees('Codes left: 5')
  await take(t, ada, 'my-security')
})

t.test('staff', async (t) => {
  const grace = await staffAt({ app, db })
  const staff = await visit(t, { viewport: SIZE })
  await staff.page.goto(`${origin}/staff`)
  await staff.fill('Username', 'grace')
  await staff.fill('Password', grace.password)
  await staff.press('Sign in')
  await staff.fill('Code from your authenticator app', await grace.nextCode())
  await staff.press('Verify')
  await staff.fill('Name or e-mail address', 'ada')
  await staff.press('Find')
  await staff.press('ada')
  await staff.sees('Wrong codes in a row')
  await take(t, staff, 'staff')
})
