/** The elements in pages of hosts: with cookies, and with bearer tokens, under a strict content security policy. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { freshApp } from '../helpers/app.js'
import { phoneOf, visit } from '../helpers/browser.js'
import { startChromium } from '../helpers/chromium.js'
import { freePort } from '../helpers/free-port.js'
import { isMirrored } from '../helpers/mirrored.js'
import { need } from '../helpers/need.js'
import { signUp } from '../helpers/person.js'
import { plainHost } from '../helpers/plain-host.js'

await need('postgres')
const executablePath = await need('chromium')
t.setTimeout(240_000)
const browser = await startChromium(t, executablePath)

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
  "require-trusted-types-for 'script'; trusted-types lit-html"
const CHALLENGE = `<!doctype html><html lang="en"><link rel="stylesheet" href="/page.css"><title>Verify</title><main><h1>Verify</h1>
<script type="module" src="/elements.js"></script><cs-challenge></cs-challenge></main></html>`

/** Serves the bundle and pages, as docs/elements.md says. */
async function servePages (app: FastifyInstance): Promise<void> {
  const serve = (path: string, type: string, text: string) => {
    app.get(path, { schema: { hide: true } as object }, (_request, reply) =>
      reply.header('content-security-policy', POLICY).type(`${type}; charset=utf-8`).send(text))
  }
  serve('/elements.js', 'text/javascript', await readFile(join(import.meta.dirname, '../../elements/index.js'), 'utf8'))
  for (const name of ['enroll.html', 'service.html']) serve(`/${name}`, 'text/html', await readFile(`examples/${name}`, 'utf8'))
  serve('/service.js', 'text/javascript', await readFile('examples/service.js', 'utf8'))
  serve('/page.css', 'text/css', await readFile('examples/page.css', 'utf8'))
  serve('/challenge.html', 'text/html', CHALLENGE)
}

/** A session in a cookie: the user, an id and the time of the password. */
const sessionIn = (cookie = '') => /session=([^;~]+)~([^;~]+)~(\d+)/.exec(cookie)?.slice(1) as [string, string, string] | undefined

t.test('a host with cookies: set-up in three lines, a lock with a countdown, a recovery code', async (t) => {
  const port = await freePort()
  const origin = `http://localhost:${port}`
  const { app, db } = await plainHost(t, {
    options: {
      identify ({ headers }) {
        const [userId, sessionId, authTime] = sessionIn(headers.cookie) ?? []
        return userId === undefined ? null : { userId, sessionId: sessionId!, authTime: Number(authTime) }
      },
      complete (_request, reply, { userId, sessionId, authTime }) {
        void reply.header('set-cookie', `session=${userId}~${sessionId}~${authTime}; Path=/; HttpOnly; SameSite=Lax`)
        return { sessionId, answer: { ok: true } }
      }
    },
    after: servePages
  })
  await app.listen({ port, host: '127.0.0.1' })
  const visitor = await visit(t, browser, origin)
  const { page, press, fill, sees, faults, scan } = visitor
  const enter = async (id: string) => {
    const at = Math.floor((await db.clock.now()).getTime() / 1000)
    await page.context().addCookies([{ name: 'session', value: `ada~${id}~${at}`, url: origin, httpOnly: true }])
  }

  await enter('first')
  await page.goto(`${origin}/enroll.html`)
  await press(/^Authenticator app/)
  const phone = phoneOf(await scan(), db.clock)
  const [code] = await page.locator('ol.codes li').allTextContents()
  await isMirrored(t, page, 'cs-enroll')
  await page.getByLabel('I have saved them').check()
  await fill('Code from your authenticator app', await phone.nextCode())
  t.same(await faults('host-set-up'), [])
  await press('Confirm')
  await sees('Your second factor is set up.')

  await enter('second')
  await page.goto(`${origin}/challenge.html`)
  for (let guess = 0; guess < 5; guess++) {
    const answered = page.waitForResponse(`${origin}/totp/login`)
    await fill('Code from your authenticator app', '000000')
    await press('Verify')
    await answered
    await page.locator('cs-challenge button.main:not([disabled])').waitFor()
  }
  await fill('Code from your authenticator app', '000000')
  await press('Verify')
  await sees(/Codes are accepted again in (1:00|0:5\d)\./)
  t.equal(await page.getByText('Next code in').count(), 0, 'no code helps now')
  t.same(await faults('host-locked'), [])
  t.ok(await page.getByLabel('Code from your authenticator app').isDisabled())
  await page.evaluate('document.querySelector("cs-challenge").lang = "de"')
  await sees(/Codes werden in .* wieder angenommen\./)
  await page.evaluate('Object.assign(document.querySelector("cs-challenge"), { lang: "en", messages: { challengeTitle: "Who is it?" } })')
  await sees('Who is it?')
  await press('Use a recovery code')
  await fill('Recovery code', code!)
  const [event] = await Promise.all([
    page.evaluate(`new Promise((resolve) => {
      document.addEventListener('cs-verified', ({ detail }) => { resolve(detail.method) })
    })`),
    press('Verify')
  ])
  t.equal(event, 'recovery_code')
  t.same(visitor.complaints, [])
})

t.test('a plain page against the service, with bearer tokens', async (t) => {
  const port = await freePort()
  const origin = `http://localhost:${port}`
  const { app, clock } = await freshApp(t, { PASSKEY_ORIGINS: origin, PAGES: 'off', ACCESS_SECONDS: '60' })
  const ada = await signUp(app, 'ada')
  await ada.enrol()
  const pages = await freePort()
  // The page of the host and the service have one origin, as behind a proxy.
  const { default: Fastify } = await import('fastify')
  const front = Fastify()
  t.teardown(() => front.close())
  await servePages(front)
  const { default: proxy } = await import('@fastify/http-proxy')
  await app.listen({ port: pages, host: '127.0.0.1' })
  await front.register(proxy, { upstream: `http://127.0.0.1:${pages}` })
  await front.listen({ port, host: '127.0.0.1' })

  const visitor = await visit(t, browser, origin)
  const { page, press, fill, sees, faults } = visitor
  await page.goto(`${origin}/service.html`)
  await fill(/Username/, 'ada')
  await fill(/Password/, ada.password)
  await press('Sign in')
  await press('More time')
  await sees('You have more time now.')
  await fill('Code from your authenticator app', await ada.nextCode())
  await press('Verify')
  await sees('Second factor switched on')
  await page.evaluate('document.querySelector("cs-security").lang = "de"')
  await sees('Zweiter Faktor eingeschaltet')
  await page.evaluate('document.querySelector("cs-security").lang = "en"')
  t.same(await faults('host-security'), [])
  await isMirrored(t, page, 'cs-security')
  // The access token ends, the proof is still fresh.
  await clock.advance(61)
  await press('Switch off the second factor')
  await press('Switch off the second factor')
  await sees('The second factor is off.')
  t.same(visitor.complaints, [])
})
