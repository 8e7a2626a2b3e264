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

t.test('in German and Japanese', async (t) => {
  for (const [locale, label, button, refusal] of [
    ['de-AT', 'Neues Passwort', 'Passwort festlegen', 'Der Link ist falsch'], ['ja', '新しいパスワード', 'パスワードを設定する', 'リンク']
  ] as const) {
    const { page, complaints, fill, press, sees, faults } = await visit(t, browser, origin, { locale })
    await page.goto(`${origin}/reset-password#token=${'a'.repeat(43)}`)
    await fill(label, 'a stapler, a horse, a battery')
    await press(button)
    await sees(refusal)
    t.same(await faults(`reset-password-${locale}`), [])
    await page.goto(`${origin}/verify-email`)
    t.equal(await page.locator('form').isVisible(), false, 'a link without its token')
    t.same(complaints, [])
  }
})
