/** The pages to which links in mails lead, in Chromium. */
import t from 'tap'
import { startPages } from '../helpers/pages.js'

t.setTimeout(120_000)
const { origin, visit } = await startPages(t)

t.test('they are accessible in both themes, and the token leaves the address', async (t) => {
  const { page, complaints, fill, press, sees, faults } = await visit(t)
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
    const { page, complaints, fill, press, sees, faults } = await visit(t, { locale })
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
