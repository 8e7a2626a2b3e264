import type { Page } from 'playwright-core'
import type { Test } from 'tap'

const WIDTHS = [360, 1280]
/** Where each control and text begins, from the edge at which a line begins, in an element and its shadow roots. */
const STARTS = `((selector, dir) => {
  const outer = document.querySelector(selector)
  outer.dir = dir
  const edges = outer.getBoundingClientRect()
  const all = (root) => [...root.querySelectorAll('*')].flatMap((one) => one.shadowRoot ? all(one.shadowRoot) : [one])
  const shown = all(outer.shadowRoot ?? outer)
    .filter((one) => one.matches('h1, h2, h3, button, input, ol, ul, li, dt, svg.qr, label, .badge') && one.checkVisibility())
  const rounded = ({ left, right }) => Math.round(dir === 'rtl' ? edges.right - right : left - edges.left)
  return shown.map((one) => one.localName + ' ' + rounded(one.getBoundingClientRect()))
})`

/** Judges that an element, or the whole page, is the mirror image of itself from right to left, and not wider than the window. */
export async function isMirrored (t: Test, page: Page, selector: string): Promise<void> {
  const size = page.viewportSize()!
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: size.height })
    const ltr = await page.evaluate<string[]>(`${STARTS}('${selector}', 'ltr')`)
    const rtl = await page.evaluate<string[]>(`${STARTS}('${selector}', 'rtl')`)
    t.ok(ltr.length >= 5, `${selector}: ${ltr.length} parts`)
    t.same(rtl, ltr, `${selector} at ${width} px`)
    t.equal(await page.evaluate('document.documentElement.scrollWidth > innerWidth'), false, `${selector} at ${width} px`)
  }
  await page.evaluate(`document.querySelector('${selector}').dir = 'ltr'`)
  await page.setViewportSize(size)
}
