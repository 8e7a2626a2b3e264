/** Time limits of the pages in Chromium: announced, and extended by a button (WCAG 2.2.1). */
import t from 'tap'
import { phoneOf } from '../helpers/browser.js'
import { startPages } from '../helpers/pages.js'
import { signUp } from '../helpers/person.js'

t.setTimeout(240_000)
const { app, clock, origin, visit } = await startPages(t)

/** Signs in, in a browser whose clock and the database's are moved together. */
async function signIn (name: string, password: string) {
  const visitor = await visit(t)
  const { page, fill, press } = visitor
  await page.clock.install({ time: await clock.now() })
  await page.goto(origin)
  await fill('Username', name)
  await fill('Password', password)
  await press('Sign in')
  return {
    ...visitor,
    async pass (seconds: number) {
      await clock.advance(seconds)
      await page.clock.fastForward(seconds * 1000)
    },
    /** Waits for a text that screen readers are told. */
    async hears (text: string) {
      await page.locator('[role=status], [role=alert]').getByText(text).first().waitFor({ state: 'attached' })
    }
  }
}

t.test('the code after the sign-in: a warning, more time, and the code is accepted after the first limit', async (t) => {
  const ada = await (await signUp(app, 'ada')).enrol()
  const { pass, hears, press, fill, sees, faults, complaints } = await signIn('ada', ada.password)
  await sees(/Time left for this step: [45]:\d\d/)
  await pass(250)
  await hears('Less than one minute is left for this step.')
  t.same(await faults('challenge-warning'), [])
  await press('More time')
  await hears('You have more time now.')
  await sees(/Time left for this step: [45]:\d\d/)
  await pass(200)
  await fill('Code from your authenticator app', await ada.nextCode())
  await press('Verify')
  await sees('Signed in as ada')
  t.same(complaints, [])
})

t.test('ten times', async (t) => {
  const bob = await (await signUp(app, 'bob')).enrol()
  const { page, pass, hears, press, sees } = await signIn('bob', bob.password)
  await sees(/Time left for this step: [45]:\d\d/)
  for (let time = 1; time <= 10; time++) {
    await pass(270)
    await hears('Less than one minute is left for this step.')
    const answered = page.waitForResponse(`${origin}/token/refresh`)
    await press('More time')
    t.equal((await answered).status(), 200, `${time}`)
    await sees(/Time left for this step: [45]:\d\d/)
  }
})

t.test('a set-up: the password alone for more time, and everything stays as it was', async (t) => {
  const eve = await signUp(app, 'eve')
  const { page, pass, hears, press, fill, sees, scan, faults, complaints } = await signIn('eve', eve.password)
  await press('Set up')
  await press(/^Authenticator app/)
  await sees(/Time left for the set-up: (10|9):\d\d/)
  const otpUrl = await scan()
  const saved = page.getByLabel('I have saved them')
  await saved.check()
  await pass(560)
  await hears('Less than one minute is left for the set-up.')
  await press('More time')
  await fill('Password', eve.password)
  t.same(await faults('set-up-password'), [])
  await press('Cancel')
  t.equal(await scan(), otpUrl, 'without the password, the set-up goes on')
  await press('More time')
  await fill('Password', eve.password)
  await press('Continue')
  await hears('You have more time now. The code and the key are the same.')
  t.equal(await scan(), otpUrl)
  t.equal(await saved.isChecked(), true)

  await pass(610)
  await hears('The time for the set-up is over.')
  await press('More time')
  await fill('Password', eve.password)
  await press('Continue')
  await hears('The time was over')
  const next = await scan()
  t.not(next, otpUrl)
  t.equal(await saved.isChecked(), false, 'the codes are others')
  await saved.check()
  await fill('Code from your authenticator app', await phoneOf(next, clock).nextCode())
  await press('Confirm')
  await sees('Your second factor is set up.')
  t.same(complaints, [])
})
