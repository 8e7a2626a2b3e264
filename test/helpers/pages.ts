import type { Browser, BrowserContextOptions } from 'playwright-core'
import { freshApp, type Fresh } from './app.js'
import { visit, type Visitor } from './browser.js'
import { startChromium } from './chromium.js'
import { freePort } from './free-port.js'
import { need } from './need.js'
import type { Settings } from './settings.js'
import type { Owner } from './teardown.js'

export interface Pages extends Fresh {
  browser: Browser
  origin: string
  /** Path of Chromium. */
  executablePath: string
  /** Opens a window without cookies, until the end of the test. */
  visit (t: Owner, options?: BrowserContextOptions): Promise<Visitor>
}

/** Starts the service with its pages at a port of this machine, and Chromium. Skips the file without Chromium. */
export async function startPages (t: Owner, settings: Settings = {}): Promise<Pages> {
  const executablePath = await need('chromium')
  const port = await freePort()
  const origin = `http://localhost:${port}`
  const fresh = await freshApp(t, { PASSKEY_ORIGINS: origin, ...settings })
  await fresh.app.listen({ port, host: '127.0.0.1' })
  const browser = await startChromium(t, executablePath)
  return { ...fresh, browser, origin, executablePath, visit: (t, options) => visit(t, browser, origin, options) }
}
