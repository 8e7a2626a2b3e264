import { mkdir, readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import jsqr from 'jsqr'
import { PNG } from 'pngjs'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { PERIOD_SECONDS, secretOf, stepAt, totp } from './authenticator.js'
import type { TestClock } from './clock.js'
import type { Owner } from './teardown.js'
import { sized } from './thorough.js'

const decode = jsqr as unknown as typeof jsqr.default

/** Rules of WCAG 2.0 to 2.2, levels A and AA, and axe's own good practice. */
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
/** Rules about colors, sizes and scrolling. The others judge the document, which has no part that depends on the look. */
const RULES_OF_LOOKS = ['color-contrast', 'link-in-text-block', 'target-size', 'scrollable-region-focusable']
const ALL = { type: 'tag', values: TAGS }
/** The source of axe: its package for Playwright sends twice as much of it, twice for each judgement. */
const axe = readFile(createRequire(import.meta.resolve('@axe-core/playwright')).resolve('axe-core/axe.min.js'), 'utf8')
interface Violation { id: string, nodes: Array<{ html: string }> }
interface Look { colorScheme: 'light' | 'dark', width: number, lang?: string }
/**
 * Looks in which each state is judged: each by its width, and by axe the first of each theme, the second of them by the rules of looks
 * alone; all of them by all rules in a thorough run.
 * 320 px is a window of 1280 at 400 % (WCAG 1.4.10); German has the longest words.
 */
const LOOKS: ReadonlyArray<Look & { rules?: typeof ALL }> = [
  { colorScheme: 'dark', width: 320, rules: ALL }, { colorScheme: 'light', width: 320, lang: 'de' },
  { colorScheme: 'light', width: 360 }, { colorScheme: 'dark', width: 768, lang: 'ja' },
  { colorScheme: 'light', width: 1280, rules: sized({ type: 'rule', values: RULES_OF_LOOKS }, ALL) }
]
/** Folder for screenshots of each state: `COUNTERSIGN_SCREENSHOTS=/tmp/pictures npm test -- test/pages/…`. */
const pictures = process.env['COUNTERSIGN_SCREENSHOTS']
const PICTURED: readonly Look[] = (['light', 'dark'] as const).flatMap((colorScheme) =>
  ['en', 'de', 'ja'].flatMap((lang) => [360, 1280].map((width) => ({ colorScheme, width, lang }))))
/** Shows every element of the page in another language. A text that was written before, such as a notice, keeps its own. */
const SPEAK = `((lang) => {
  for (const element of document.querySelectorAll('cs-app, cs-enroll, cs-challenge, cs-security')) {
    if (element.parentElement.closest('cs-app') === null) element.lang = lang
  }
})`

/** A browser window, watched for everything that it should not do. */
export interface Visitor {
  page: Page
  /** Errors of the console and of scripts, violations of the policy, and requests to other origins. */
  complaints: string[]
  /** Presses a button. */
  press (name: string | RegExp): Promise<void>
  fill (label: string | RegExp, text: string): Promise<void>
  /** Waits for a text to be there. */
  sees (text: string | RegExp): Promise<void>
  /** Returns what axe finds wrong in the present state, in each look, and takes pictures of it. */
  faults (state: string): Promise<string[]>
  /** Reads the QR code from the pixels. */
  scan (): Promise<string>
}

export async function visit (t: Owner, browser: Browser, origin: string, options: BrowserContextOptions = {}): Promise<Visitor> {
  // Colors that are still changing would be judged.
  const context = await browser.newContext({ viewport: { width: 768, height: 900 }, reducedMotion: 'reduce', ...options })
  t.teardown(() => context.close())
  return await watch(await context.newPage(), origin)
}

export async function watch (page: Page, origin: string): Promise<Visitor> {
  page.setDefaultTimeout(30_000)
  const complaints: string[] = []
  // Chromium reports each refused request, whatever the script does with it.
  page.on('console', (message) => {
    const isRefusal = message.text().startsWith('Failed to load resource')
    if (['error', 'warning'].includes(message.type()) && !isRefusal) complaints.push(message.text())
  })
  page.on('pageerror', (error) => { complaints.push(error.message) })
  page.on('request', (request) => {
    if (!/^(blob|data):/.test(request.url()) && !request.url().startsWith(origin)) complaints.push(request.url())
  })
  // A browser without a window prints nothing: the text of the document is kept, as the paper would have it.
  await page.addInitScript(`window.print = () => {
    window.top.paper = document.body.innerText
    window.dispatchEvent(new Event('afterprint'))
  }`)
  await page.addInitScript(`document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
    console.error('blocked: ' + violatedDirective + ' ' + blockedURI)
  })`)

  const button = (name: string | RegExp) => page.getByRole('button', { name, ...(typeof name === 'string' ? { exact: true } : {}) })
  return {
    page,
    complaints,
    press: async (name) => { await button(name).first().click() },
    fill: async (label, text) => { await page.getByLabel(label, { exact: typeof label === 'string' }).first().fill(text) },
    sees: async (text) => { await page.getByText(text).first().waitFor() },
    async faults (state) {
      const size = page.viewportSize()!
      const found: string[] = []
      const take = async ({ colorScheme, width, lang = '' }: Look) => {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
        await page.setViewportSize({ width, height: size.height })
        await page.evaluate(`${SPEAK}('${lang}')`)
      }
      if (pictures !== undefined) await mkdir(pictures, { recursive: true })
      for (const look of pictures === undefined ? [] : PICTURED) {
        await take(look)
        await page.screenshot({ path: join(pictures!, `${state}-${Object.values(look).join('-')}.png`), fullPage: true })
      }
      for (const look of LOOKS) {
        await take(look)
        const { colorScheme, width, lang = 'en', rules = sized(null, ALL) } = look
        const violations = rules === null ? [] : await violationsOf(page, rules)
        found.push(...violations.map(({ id, nodes }) =>
          `${state} ${colorScheme} ${lang}: ${id} ${nodes.map(({ html }) => html).join(' ')}`))
        const isWide = await page.evaluate('document.documentElement.scrollWidth > innerWidth')
        if (isWide === true) found.push(`${state}: scrolls sideways at ${width} px in ${lang}`)
      }
      await page.evaluate(`${SPEAK}('')`)
      await page.setViewportSize(size)
      return found
    },
    async scan () {
      return readQr(await page.locator('svg.qr').screenshot())
    }
  }
}

/** Judges the document and its frames by axe, which stays in them. */
async function violationsOf (page: Page, runOnly: typeof ALL): Promise<Violation[]> {
  for (const frame of page.frames()) {
    if (await frame.evaluate('window.axe === undefined')) await frame.evaluate(await axe)
  }
  const options = JSON.stringify({ runOnly, resultTypes: ['violations'] })
  return await page.evaluate<Violation[]>(`axe.run(document, ${options}).then(({ violations }) => violations)`)
}

/** Returns the text that a button prints. Nothing of it stays in the page. */
export async function printed (page: Page, press: () => Promise<void>): Promise<string> {
  await page.evaluate('delete window.paper')
  const frames = await page.locator('iframe').count()
  await press()
  await page.waitForFunction('window.paper !== undefined')
  if (await page.locator('iframe').count() !== frames) throw new Error('the printed text stays in the page')
  return await page.evaluate<string>('window.paper')
}

/** Reads the QR code of a picture. */
export function readQr (png: Buffer): string {
  const { data, width, height } = PNG.sync.read(png)
  const read = decode(new Uint8ClampedArray(data), width, height)
  if (read === null) throw new Error('there is no QR code in the picture')
  return read.data
}

/** An authenticator app that has scanned a code. */
export function phoneOf (otpUrl: string, clock: TestClock): { nextCode (): Promise<string> } {
  const secret = secretOf(otpUrl)
  let last = 0
  return {
    async nextCode () {
      let step = stepAt(await clock.now())
      while (step <= last) {
        await clock.advance(PERIOD_SECONDS)
        step = stepAt(await clock.now())
      }
      last = step
      return totp(secret, step)
    }
  }
}

/** Gives a page a virtual authenticator. */
export async function insertAuthenticator (page: Page): Promise<void> {
  const devtools = await page.context().newCDPSession(page)
  await devtools.send('WebAuthn.enable')
  await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true }
  })
}
