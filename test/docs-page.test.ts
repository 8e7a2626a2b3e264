import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import t from 'tap'
import { freshApp } from './helpers/app.js'
import { startChromium } from './helpers/chromium.js'
import { need } from './helpers/need.js'

const executablePath = await need('chromium')
const { app } = await freshApp(t, { MAIL_URL: '', PUBLIC_URL: '' })
await app.listen({ port: 0, host: '127.0.0.1' })
const base = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`

const browser = await startChromium(t, executablePath)
const page = await browser.newPage()
page.setDefaultTimeout(45_000)
const complaints: string[] = []
const requests: string[] = []
page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()) })
page.on('pageerror', (error) => { complaints.push(error.message) })
page.on('request', (request) => { requests.push(request.url()) })

t.test('the page at /docs works as its first lines say: sign up, log in, use the token, set up, ask', async (t) => {
  const opened = await page.goto(`${base}/docs`)
  t.equal(opened?.status(), 200)
  t.match(opened?.headers()['content-security-policy'], /default-src 'self'/)
  await page.waitForSelector('#operations-Account-signUp')
  t.equal(await page.locator('.opblock-tag').first().getAttribute('data-tag'), 'Start here')
  const first = page.locator('.opblock-tag-section').first().locator('.opblock')
  t.same(
    await first.evaluateAll((found) => found.map(({ id }) => id.split('-').at(-1))), ['signUp', 'logIn', 'createTotp', 'verifyTotp']
  )
  t.equal(await page.title(), 'Countersign')
  await page.locator('.topbar img[src^="data:image/svg+xml"]').waitFor()

  const ada = { username: 'ada', email: 'ada@example.org', password: 'correct horse battery staple' }
  t.equal((await tryOut(page, 'Account', 'signUp', ada)).status, 201)
  const login = await tryOut(page, 'Tokens', 'logIn', { username: 'ada', password: 'correct horse battery staple' })
  t.equal(login.status, 200)

  t.equal((await tryOut(page, 'Second factor', 'getTotpStatus')).status, 401, 'not before it is authorized')
  complaints.length = 0   // The browser reports that 401, as it should.
  await page.locator('#operations-Tokens-logIn .countersign-token').click()
  const status = await tryOut(page, 'Second factor', 'getTotpStatus')
  t.equal(status.status, 200)
  t.same(
    JSON.parse(status.body),
    {
      isOtpEnabled: false, isPending: false, methods: [], recoveryCodesLeft: 0, recoveryCodesWeak: false, weakDevices: 0, otpDeadline: null
    }
  )
  t.equal((await tryOut(page, 'Second factor', 'createTotp', { name: 'Phone' })).status, 201)
  const picture = page.locator('#operations-Second_factor-createTotp img.countersign-qr')
  await picture.waitFor()
  t.ok(await picture.evaluate((image) => (image as unknown as { naturalWidth: number }).naturalWidth) > 100, 'the QR code is a picture')
})

t.test('E2 it complains of nothing and asks nobody but us', async (t) => {
  t.same(complaints, [])
  t.ok(requests.length > 5)
  t.same(requests.filter((url) => !url.startsWith(base) && !url.startsWith('data:') && !url.startsWith('blob:')), [])
})

/** Opens an operation, fills in its body and presses Execute, like a user of the page. */
async function tryOut (page: Page, tag: string, id: string, body?: object): Promise<{ status: number, body: string }> {
  const block = page.locator(`#operations-${tag.replaceAll(' ', '_')}-${id}`)
  if (!(await block.getAttribute('class'))?.includes('is-open')) await block.locator('.opblock-summary-control').click()
  if (body !== undefined) await block.locator('textarea.body-param__text').fill(JSON.stringify(body))
  const answered = page.waitForResponse((response) => response.url().startsWith(base) && response.request().resourceType() === 'fetch')
  await block.locator('.btn.execute').click()
  const answer = await answered
  await block.locator('.live-responses-table').waitFor()
  return { status: answer.status(), body: await answer.text() }
}
