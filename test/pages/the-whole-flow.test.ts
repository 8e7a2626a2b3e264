/** The pages in Chromium, from the sign-up to switching the second factor off. */
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { insertAuthenticator, phoneOf, printed, visit } from '../helpers/browser.js'
import { startChromium } from '../helpers/chromium.js'
import { freePort } from '../helpers/free-port.js'
import { isMirrored } from '../helpers/mirrored.js'
import { need } from '../helpers/need.js'

const executablePath = await need('chromium')
t.setTimeout(300_000)
const port = await freePort()
const origin = `http://localhost:${port}`
const { app, clock } = await freshApp(t, { PASSKEY_ORIGINS: origin, OTP_ISSUER: 'Acme <b>', MAIL_URL: '', PUBLIC_URL: '' })
await app.listen({ port, host: '127.0.0.1' })
const browser = await startChromium(t, executablePath)

const password = 'correct horse battery staple'
const visitor = await visit(t, browser, origin)
const { page, complaints, press, fill, sees, faults, scan } = visitor
await insertAuthenticator(page)
let phone: Awaited<ReturnType<typeof phoneOf>>
let codes: string[] = []

/** Moves on until proofs are old. */
const age = async () => { await clock.advance(301) }
const giveCode = async () => {
  await fill('Code from your authenticator app', await phone.nextCode())
  await press('Verify')
}

t.test('sign up leads to the own security page', async (t) => {
  await page.goto(origin)
  await sees('Create an account')
  t.same(await faults('sign-in'), [])
  await isMirrored(t, page, 'html')
  await press('Create an account')
  await fill('Username', 'ada')
  await fill('E-mail address', 'ada@example.org')
  await fill('Password', password)
  t.same(await faults('sign-up'), [])
  await press('Create an account')
  await sees('Signed in as ada')
  t.equal(new URL(page.url()).pathname, '/me')
  t.match(await page.title(), 'My security · Acme <b>')
  await sees('Account created')
  t.same(await faults('me-without-factor'), [])
})

t.test('set-up: the QR code is read from the pixels, a reload continues, the codes come first', async (t) => {
  await press('Set up')
  await fill('Name (optional)', 'My <i>phone</i>')
  t.same(await faults('set-up-choice'), [])
  await press(/^Authenticator app/)
  await sees('Scan this code')
  t.same(await faults('set-up-app'), [])
  const otpUrl = await scan()
  await page.reload()
  await sees('Scan this code')
  t.equal(await scan(), otpUrl, 'the same secret after a reload')
  phone = phoneOf(otpUrl, clock)
  codes = await page.locator('cs-enroll ol.codes li').allTextContents()
  t.equal(codes.length, 5)
  t.equal(await page.getByLabel('Code from your authenticator app').count(), 0, 'not before the codes are saved')
  const [saved] = await Promise.all([page.waitForEvent('download'), press('Download')])
  t.equal(saved.suggestedFilename(), 'recovery-codes.txt')
  const paper = `Recovery codes · ${new URL(origin).host}\n\n${codes.join('\n')}\n`
  t.equal(await readFile(await saved.path(), 'utf8'), paper)
  t.equal((await printed(page, () => press('Print'))).trim(), paper.trim(), 'the codes alone')
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write'])
  await press('Copy')
  await sees('The codes are copied.')
  t.equal(await page.evaluate('navigator.clipboard.readText()'), paper)
  await press('More time')
  await sees('You have more time now.')
  await page.getByLabel('I have saved them').check()
  await fill('Code from your authenticator app', '000000')
  await press('Confirm')
  await sees('The code is wrong, expired or already used.')
  await fill('Code from your authenticator app', await phone.nextCode())
  t.same(await faults('set-up-code'), [])
  await press('Confirm')
  await sees('Your second factor is set up.')
  await sees('My <i>phone</i>')
  t.same(await faults('me-with-factor'), [])
  await isMirrored(t, page, 'html')
})

t.test('sign out, sign in, and the code', async (t) => {
  await press('Sign out')
  await sees('You are signed out.')
  await fill('Username', 'ada')
  await fill('Password', 'wrong')
  await press('Sign in')
  await sees('Username or password is wrong.')
  t.equal(await page.getByText('You are signed out.').count(), 0, 'one thing is said at a time')
  t.same(await faults('sign-in-refused'), [])
  await fill('Password', password)
  await press('Sign in')
  await sees('Confirm that it is you')
  t.same(await faults('challenge'), [])
  await page.reload()
  await sees('Confirm that it is you')
  await giveCode()
  await sees('Signed in as ada')
})

t.test('an old proof is asked for in place, and then the action goes on: a passkey', async (t) => {
  await age()
  await press('Add another one')
  await fill('Name (optional)', 'Laptop')
  await press(/^Passkey/)
  await sees('Confirm that it is you first')
  t.same(await faults('proof'), [])
  await giveCode()
  await sees('Create the passkey')
  t.same(await faults('set-up-passkey'), [])
  await press('Create the passkey')
  await page.locator('cs-factors li').filter({ hasText: 'Laptop' }).waitFor()
})

t.test('a passkey signs in', async () => {
  await press('Sign out')
  await fill('Username', 'ada')
  await fill('Password', password)
  await press('Sign in')
  await press('Use a passkey')
  await page.getByRole('button', { name: 'Use a passkey' }).click()
  await sees('Signed in as ada')
})

t.test('a recovery code signs in, and sessions are ended', async (t) => {
  const other = await visit(t, browser, origin)
  await other.page.goto(`${origin}/me`)
  await other.fill('Username', 'ada')
  await other.fill('Password', password)
  await other.press('Sign in')
  await other.press('Use a recovery code')
  await other.fill('Recovery code', codes[0]!)
  t.same(await other.faults('challenge-recovery'), [])
  await other.press('Verify')
  await other.sees('Codes left: 4')

  await other.press('End all others')
  await other.sees('All other sessions have ended.')
  t.same(await other.faults('me-sessions'), [])
  await clock.advance(2)
  await press('Make new codes')
  await sees('Your session has ended. Sign in again.')
  t.same(other.complaints, [])
})

t.test('rename, remove, new codes, and off', async (t) => {
  await fill('Username', 'ada')
  await fill('Password', password)
  await press('Sign in')
  await giveCode()
  await sees('Signed in as ada')
  await press('Rename Laptop')
  await fill('New name', 'Old laptop')
  await press('Save')
  await sees('It has a new name.')
  await press('Make new codes')
  await page.locator('cs-factors ol.codes').waitFor()
  await press('I have saved them')
  await press('Remove Old laptop')
  await sees('Remove Old laptop? Your other sessions end.')
  await page.locator('cs-factors li').getByRole('button', { name: 'Remove', exact: true }).click()
  await sees('It is removed.')
  await press('Switch off the second factor')
  t.same(await faults('me-off'), [])
  await press('Switch off the second factor')
  await sees('The second factor is off.')
})

t.test('password and e-mail, with the password as the proof', async () => {
  await age()
  await fill('New address', 'ada@example.com')
  await press('Change the address')
  await sees('Confirm that it is you first')
  await fill('Password', password)
  await press('Verify')
  await sees('The address is saved.')
  await fill('Current password', 'not this one')
  await fill('New password', 'a stapler, a horse, a battery')
  await press('Change the password')
  await sees('The current password is wrong.')
  await fill('Current password', password)
  await press('Change the password')
  await sees('The password is changed.')
  await page.goBack()
  await page.goForward()
})

t.test('nothing complained, nothing was asked of another origin', async (t) => {
  t.same(complaints, [])
})
