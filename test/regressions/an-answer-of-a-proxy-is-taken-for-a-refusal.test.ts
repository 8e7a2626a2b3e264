/**
 * Pages and elements read an answer without `X-Refusal` by its status: a 429 of a proxy, or of a host's own limit, was a request that
 * does not match its schema, and a 400 or 401 of a proxy to a refresh forgot the session of the tab.
 */
import t from 'tap'
import type { Route } from 'playwright-core'
import { startPages } from '../helpers/pages.js'
import { signUp } from '../helpers/person.js'

t.setTimeout(120_000)
const { app, origin, visit } = await startPages(t)
const NO_ANSWER = 'There is no answer. Check your connection and try again.'
const WAIT = { 'retry-after': '90' }
const MANY = 'Too many requests. Try again later.'

/** Answers of what is between browser and service, and what the page then shows. */
const ANSWERS: Array<[path: string, answer: Parameters<Route['fulfill']>[0], shown: string | RegExp]> = [
  ['**/account', { status: 429, contentType: 'text/html', body: '<h1>429</h1>' }, MANY],
  ['**/account', { status: 429, headers: WAIT, json: { statusCode: 429, message: 'slow' } }, `${MANY} Try again in 1:30.`],
  ['**/account', { status: 403, contentType: 'text/html', body: '<h1>403</h1>' }, NO_ANSWER],
  ['**/token/refresh', { status: 429, headers: WAIT, body: '' }, `${MANY} Try again in 1:30.`],
  ['**/token/refresh', { status: 400, contentType: 'text/html', body: '<h1>Header too large</h1>' }, NO_ANSWER],
  ['**/token/refresh', { status: 401, headers: { 'www-authenticate': 'Basic' }, body: '' }, NO_ANSWER]
]

t.test("an answer that is not the service's ends no session, and is shown as what it is", async (t) => {
  const { password } = await signUp(app, 'ada')
  const { page, fill, press, sees, complaints } = await visit(t)
  await page.goto(origin)
  await fill('Username', 'ada')
  await fill('Password', password)
  await press('Sign in')
  await sees('Signed in as ada')
  for (const [path, answer, shown] of ANSWERS) {
    await page.route(path, async (route) => { await route.fulfill(answer) })
    await page.reload()
    await sees(shown)
    await page.unroute(path)
    await press('Try again')
    await sees('Signed in as ada')
  }
  t.same(complaints, [])
})
