/** Attacks on the pages in Chromium: stored text, other origins, and tokens in places that outlive the page. */
import Fastify from 'fastify'
import t from 'tap'
import { freePort } from '../helpers/free-port.js'
import { startPages } from '../helpers/pages.js'
import { expect, signUp } from '../helpers/person.js'
import { staffAt } from '../helpers/staff.js'

t.setTimeout(240_000)
/** Runs in an `innerHTML`, in an attribute and in a template. */
const MARKUP = '"><img src=x onerror=window.run=1><script>window.run=1</script>{{7*7}}'
const { app, db, clock, browser, origin, visit } = await startPages(t, { OTP_ISSUER: MARKUP.slice(0, 60).replaceAll(':', '') })

const mallory = await signUp(app, 'mallory')
await mallory.enrol()
const [device] = expect(200, await mallory.request('GET', '/totp/devices')).json<Array<{ id: string }>>()
expect(200, await mallory.request('PATCH', `/totp/devices/${device!.id}`, { name: MARKUP.slice(0, 64) }))
expect(200, await mallory.request('PATCH', '/account', { firstName: MARKUP.slice(0, 60), lastName: MARKUP }))
expect(200, await app.inject({
  method: 'POST',
  url: '/token',
  headers: { 'user-agent': MARKUP, 'x-forwarded-for': MARKUP },
  payload: { username: 'mallory', password: mallory.password }
}))

async function signIn (name: string, password: string, nextCode: () => Promise<string>, path = '') {
  const visitor = await visit(t)
  await visitor.page.goto(`${origin}/${path}`)
  await visitor.fill('Username', name)
  await visitor.fill('Password', password)
  await visitor.press('Sign in')
  await visitor.fill('Code from your authenticator app', await nextCode())
  await visitor.press('Verify')
  await visitor.sees(`Signed in as ${name}`)
  return visitor
}

t.test('names, agents and the name of the service are text', async (t) => {
  const own = await signIn('mallory', mallory.password, () => mallory.nextCode())
  const grace = await staffAt({ app, db })
  const staff = await signIn('grace', grace.password, () => grace.nextCode(), 'staff')
  await staff.press('mallory')
  await staff.sees('Wrong codes in a row')
  for (const { page, sees, complaints } of [own, staff]) {
    await sees(MARKUP.slice(0, 64))
    t.equal(await page.locator('img').count(), 0)
    t.equal(await page.evaluate('window.run'), undefined)
    t.match(await page.title(), MARKUP.slice(0, 60))
    t.same(complaints, [])
  }
})

t.test('nothing in the address leads elsewhere', async (t) => {
  const paths = ['?next=https://evil.example', 'me?return_to=//evil.example', '?redirect_uri=javascript:window.run=1#//evil.example']
  for (const path of paths) {
    const { page, complaints } = await signIn('mallory', mallory.password, () => mallory.nextCode(), path)
    t.equal(new URL(page.url()).origin, origin)
    t.equal(await page.evaluate('window.run'), undefined)
    t.same(complaints, [])
  }
  for (const url of ['//evil.example', '/\\evil.example', '/%2f%2fevil.example', '/me/..//evil.example']) {
    const { headers } = await app.inject({ url })
    t.equal(headers.location, undefined, url)
  }
})

t.test('no page of another origin can frame it', async (t) => {
  const other = Fastify()
  t.teardown(() => other.close())
  for (const [path, target] of [['/me', `${origin}/me`], ['/mail', `${origin}/reset-password`]] as const) {
    const html = `<!doctype html><title>Evil</title><iframe src="${target}"></iframe>`
    other.get(path, (_request, reply) => reply.type('text/html').send(html))
  }
  const port = await freePort()
  await other.listen({ port, host: '127.0.0.1' })
  for (const path of ['/me', '/mail']) {
    const context = await browser.newContext()
    t.teardown(() => context.close())
    const page = await context.newPage()
    const refused = page.waitForEvent('console', (message) => message.text().includes('frame-ancestors'))
    await page.goto(`http://127.0.0.1:${port}${path}`)
    t.match((await refused).text(), 'frame-ancestors')
    for (const frame of page.frames().slice(1)) t.notMatch(frame.url(), origin)
  }
})

t.test('tokens are in no address and no referrer, and a code in none either', async (t) => {
  const visitor = await visit(t)
  const { page, fill, press, sees } = visitor
  const seen: string[] = []
  page.on('request', (request) => { seen.push(request.url(), JSON.stringify(request.headers()['referer'] ?? '')) })
  const code = await mallory.nextCode()
  await page.goto(origin)
  await fill('Username', 'mallory')
  await fill('Password', mallory.password)
  await press('Sign in')
  await fill('Code from your authenticator app', code)
  await press('Verify')
  await sees('Signed in as mallory')
  await clock.advance(301)
  await page.reload()
  await sees('Signed in as mallory')
  await page.evaluate(`Object.assign(document.createElement('a'), { href: '${origin}/livez' }).click()`)
  await page.waitForURL(`${origin}/livez`)
  t.ok(seen.length > 20)
  t.same(seen.filter((text) => text.includes('eyJ') || text.includes(code) || text.includes(mallory.password)), [])
  t.same(seen.filter((text) => text.startsWith('"') && text !== '""'), [], 'no referrer at all')
})
