import t from 'tap'
import { freshApp } from '../helpers/app.js'

const { app } = await freshApp(t)

t.test('/ leads a browser to the page of the API, and tells a program where everything is', async (t) => {
  const browser = await app.inject({ url: '/', headers: { accept: 'text/html,application/xhtml+xml' } })
  t.match(browser, { statusCode: 302, headers: { location: 'docs/', vary: 'accept' } })
  t.equal((await app.inject('/docs/')).statusCode, 200)
  const program = await app.inject('/')
  t.equal(program.statusCode, 200)
  const { name, ...places } = program.json<Record<string, string>>()
  t.same({ name, places: Object.keys(places) }, { name: 'Countersign', places: ['docs', 'openapi', 'ready'] })
  for (const path of Object.values(places)) t.not((await app.inject(`/${path}`)).statusCode, 404, path)
  t.equal((await app.inject({ method: 'POST', url: '/' })).statusCode, 405)
})

t.test('without the page there is the answer for programs alone', async (t) => {
  const { app } = await freshApp(t, { DOCS: 'off' })
  t.same((await app.inject({ url: '/', headers: { accept: 'text/html' } })).json(), { name: 'Countersign', ready: 'readyz' })
})

t.test('the page of the API loads its parts by relative addresses, for a proxy with a path prefix', async (t) => {
  const page = await app.inject('/docs/')
  const parts = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address = '']) => address)
  t.ok(parts.length > 3)
  t.strictSame(parts.filter((address) => address.startsWith('/')), [])
  for (const part of parts) t.equal((await app.inject(new URL(part, 'http://x/docs/').pathname)).statusCode, 200, part)
})

t.test('the document names PUBLIC_URL as its server', async (t) => {
  const { app } = await freshApp(t, { PUBLIC_URL: 'https://example.org/auth' })
  t.same((await app.inject('/openapi.json')).json().servers, [{ url: 'https://example.org/auth' }])
})
