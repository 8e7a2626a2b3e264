/** The pages to which links in mails lead, in Chromium. */
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { visit } from '../helpers/browser.js'
import { startChromium } from '../helpers/chromium.js'
import { need } from '../helpers/need.js'

const executablePath = await need('chromium')
t.setTimeout(120_000)
const { app } = await freshApp(t)
await app.listen({ port: 0, host: '127.0.0.1' })
const origin = `http://localhost:${(app.server.address() as AddressInfo).port}`
const browser = await startChromium(t, executablePath)

t.test('they are accessible in both themes, and the token leaves the address', async (t) => {
  const { page, complaints, fill, press, sees, faults } = await visit(t, browser, origin)
  for (const path of ['verify-email', 'undo-email-change', 'reset-password']) {
    await page.goto(`${origin}/${path}#token=${'a'.repeat(43)}`)
    t.same(await faults(path), [])
    t.equal(page.url(), `${origin}/${path}`)
  }
  await fill('New password', 'a stapler, a horse, a battery')
  await press('Set the password')
  await sees('The link is wrong, expired or already used.')
  t.same(await faults('reset-password-refused'), [])
  t.same(complaints, [])
})
