/** Elements that their page moves, and a browser without storage. The answers are fixed: only the elements are tested. */
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import Fastify from 'fastify'
import t from 'tap'
import { visit } from '../helpers/browser.js'
import { startChromium } from '../helpers/chromium.js'
import { need } from '../helpers/need.js'
import { until } from '../helpers/wait.js'

const browser = await startChromium(t, await need('chromium'))
t.setTimeout(120_000)
const front = Fastify()
t.teardown(() => front.close())
const asked: string[] = []
front.addHook('onRequest', async ({ method, url }) => { asked.push(`${method} ${url}`) })

const elements = await readFile(join(import.meta.dirname, '../../elements/index.js'), 'utf8')
front.get('/elements.js', (_request, reply) => reply.type('text/javascript; charset=utf-8').send(elements))
for (const [path, element] of [['/log', '<cs-log account="/account"></cs-log>'], ['/enroll', '<cs-enroll></cs-enroll>']] as const) {
  const page = `<!doctype html><html lang="en"><link rel="icon" href="data:,"><script type="module" src="/elements.js"></script>
    <div id="one">${element}</div><div id="other"></div></html>`
  front.get(path, (_request, reply) => reply.type('text/html; charset=utf-8').send(page))
}
const event = (id: string) => ({
  id, kind: 'logged_in', at: '2026-11-23T09:00:00.000Z', ip: '192.0.2.1', agent: '', deviceName: null, detail: null
})
front.get<{ Querystring: { cursor?: string } }>('/account/security-events', async ({ query: { cursor } }) => cursor === undefined
  ? { events: [event('3'), event('2')], nextCursor: 'more' }
  : { events: [event('1')], nextCursor: null })
front.get('/totp/status', async () => ({ isPending: true }))
front.post('/totp/create', async (_request, reply) => {
  const otpUrl = 'otpauth://totp/Acme:ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme'
  return await reply.code(201).send({ otpUrl, recoveryCodes: [], expiresAt: new Date(Date.now() + 600_000).toISOString() })
})
front.delete('/totp/rollback', async (_request, reply) => await reply.code(204).send())
await front.listen({ port: 0, host: '127.0.0.1' })
const origin = `http://localhost:${(front.server.address() as AddressInfo).port}`

const MOVE = "document.querySelector('#other').append(document.querySelector('#one > *'))"
const countAsked = (text: string) => asked.filter((one) => one.startsWith(text)).length

t.test('a log that is moved shows its first page again, once', async (t) => {
  const { page, press, complaints } = await visit(t, browser, origin)
  const lines = page.locator('cs-log li')
  await page.goto(`${origin}/log`)
  await until('the first page', async () => await lines.count() === 2)
  await press('Show more')
  await until('the second page', async () => await lines.count() === 3)
  const before = asked.length
  await page.evaluate(MOVE)
  await until('the log to be read again', () => asked.length > before)
  await until('the first page', async () => await lines.count() === 2)
  t.same(complaints, [])
})

t.test('a set-up that is moved goes on, and is not begun again', async (t) => {
  const { page, press, sees, complaints } = await visit(t, browser, origin)
  await page.goto(`${origin}/enroll`)
  await press(/^Authenticator app/)
  await sees('Scan this code')
  await page.evaluate(MOVE)
  await sees('Scan this code')
  await page.evaluate('new Promise((resolve) => { requestAnimationFrame(() => { requestAnimationFrame(resolve) }) })')
  t.same([countAsked('GET /totp/status'), countAsked('POST /totp/create')], [0, 1])
  t.same(complaints, [])
})

t.test('where the browser refuses the storage, the set-up that has begun is shown', async (t) => {
  const { page, press, sees, complaints } = await visit(t, browser, origin)
  await page.addInitScript("Object.defineProperty(window, 'sessionStorage', { get () { throw new DOMException('', 'SecurityError') } })")
  await page.goto(`${origin}/enroll`)
  await press(/^Authenticator app/)
  await sees('Scan this code')
  await press('Cancel')
  await sees(/^Authenticator app/)
  t.same(complaints, [])
})
