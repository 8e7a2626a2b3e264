import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import Fastify from 'fastify'
import t from 'tap'
import { readAssets } from '../../../routes/site/assets.js'
import siteRoutes from '../../../routes/site/index.js'
import { freshApp } from '../../helpers/app.js'

const { app } = await freshApp(t, { OTP_ISSUER: 'Acme <script>"', SIGN_UP: 'closed' })
const PAGES = ['/', '/me', '/staff']

/** Addresses of the files of a page. */
const filesOf = (html: string) => [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => url!)

t.test('a page is strict, says nothing of anybody, and comes from here alone', async (t) => {
  for (const path of PAGES) {
    const { statusCode, headers, body } = await app.inject(path)
    t.equal(statusCode, 200)
    t.match(headers, { 'content-type': 'text/html; charset=utf-8', 'referrer-policy': 'no-referrer', 'cache-control': 'no-cache' })
    const policy = String(headers['content-security-policy'])
    t.match(policy, /^default-src 'none'; /)
    t.match(policy, /frame-ancestors 'none'.*require-trusted-types-for 'script'/)
    t.notMatch(policy, /unsafe|\*|https?:/)
    t.notMatch(body, /<script>|<style|style=|onload|https?:/)
    t.match(body, 'data-name="Acme &#60;script&#62;&#34;"')
    t.match(body, /<noscript>.*JavaScript/)
    t.match(body, 'data-sign-up="off" data-mail="on" data-kinds="totp passkey"')
  }
})

t.test('addresses are relative, with a slash at the end too: a page works below any prefix', async (t) => {
  for (const [path, root] of [['/', './'], ['/me', './'], ['/me/', '../'], ['/staff/', '../']] as const) {
    const files = filesOf((await app.inject(path)).body)
    t.equal(files.length, 3)
    t.ok(files.every((file) => file.startsWith(`${root}assets/`)), path)
  }
})

t.test('files may be kept for ever, compressed as the client likes; the first view is small', async (t) => {
  const page = await app.inject('/')
  let bytes = page.rawPayload.length
  for (const file of filesOf(page.body)) {
    const url = file.slice(1)
    const plain = await app.inject(url)
    t.match(plain, { statusCode: 200, headers: { 'cache-control': 'public, max-age=31536000, immutable', vary: 'accept-encoding' } })
    t.equal(plain.headers['content-encoding'], undefined)
    const gzip = await app.inject({ url, headers: { 'accept-encoding': 'gzip, deflate' } })
    const br = await app.inject({ url, headers: { 'accept-encoding': 'gzip, deflate, br, zstd' } })
    t.equal(gzip.headers['content-encoding'], 'gzip')
    t.equal(br.headers['content-encoding'], 'br')
    t.same(gunzipSync(gzip.rawPayload), plain.rawPayload)
    t.same(brotliDecompressSync(br.rawPayload), plain.rawPayload)
    t.equal(new Set([plain, gzip, br].map(({ headers }) => headers['etag'])).size, 3, 'other bytes, another tag')
    t.equal((await app.inject({ url, headers: { 'accept-encoding': 'br;q=0, gzip;q=0' } })).headers['content-encoding'], undefined)
    t.equal((await app.inject({ url, headers: { 'if-none-match': String(plain.headers['etag']) } })).statusCode, 304)
    bytes += gzip.rawPayload.length
  }
  t.ok(bytes < 100 * 1024, `${bytes} bytes`)
  t.equal((await app.inject({ url: '/', headers: { 'if-none-match': String(page.headers['etag']) } })).statusCode, 304)
})

t.test('the page speaks the language that the browser asks for', async (t) => {
  for (const [asked, language] of [['de-AT,de;q=0.9,en;q=0.8', 'de'], ['ja', 'ja'], ['nl', 'en']] as const) {
    t.match((await app.inject({ url: '/', headers: { 'accept-language': asked } })).body, `<html lang="${language}"`)
  }
  t.equal((await app.inject('/')).headers['vary'], 'accept-language')
})

t.test('with CORS, an answer that may be cached varies by the origin too', async (t) => {
  const origin = 'https://app.example.org'
  const { app } = await freshApp(t, { CORS_ORIGINS: `${origin},https://other.example.org` })
  const [file] = filesOf((await app.inject('/')).body)
  for (const url of ['/', '/verify-email', file!.slice(1), '/.well-known/jwks.json', '/openapi.json']) {
    const { headers } = await app.inject({ url, headers: { origin } })
    t.equal(headers['access-control-allow-origin'], origin, url)
    t.match(String(headers.vary), /\borigin\b/i, url)
  }
})

t.test('no other file is served', async (t) => {
  for (const name of ['assets.json', 'app.js', '..%2fpackage.json', '%2e%2e%2f%2e%2e%2fpackage.json']) {
    t.equal((await app.inject(`/assets/${name}`)).statusCode, 404, name)
  }
})

t.test('PAGES=off removes them, and / leads to /docs where it is served', async (t) => {
  const { app } = await freshApp(t, { PAGES: 'off', DOCS: 'off' })
  for (const path of [...PAGES, '/assets/app.js']) t.match((await app.inject(path)).json(), { code: 'NOT_FOUND' }, path)

  const { app: withDocs } = await freshApp(t, { PAGES: 'off' })
  for (const path of PAGES.slice(1)) t.equal((await withDocs.inject(path)).statusCode, 404, path)
  const answer = await withDocs.inject('/')
  t.equal(answer.statusCode, 302)
  // Also below a path that a proxy removes.
  t.equal(new URL(answer.headers.location!, 'https://api.example.org/auth/').pathname, '/auth/docs')
})

t.test('files that could not be read once are read at the next request', async (t) => {
  const site = Fastify()
  t.teardown(() => site.close())
  let tries = 0
  await site.register(siteRoutes, {
    name: 'Acme',
    signUp: true,
    mail: false,
    passkeys: false,
    passwordMinLength: 8,
    read: async () => {
      if (tries++ === 0) throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' })
      return await readAssets()
    }
  })
  t.equal((await site.inject('/')).statusCode, 500)
  const page = await site.inject('/me')
  t.equal(page.statusCode, 200)
  t.equal((await site.inject(filesOf(page.body)[0]!.slice(1))).statusCode, 200)
  t.equal(tries, 2)
})
