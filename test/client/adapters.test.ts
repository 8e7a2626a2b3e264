/** docs/back-ends.md: this test runs the blocks of the page, beside a real service. */
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import type { AddressInfo, Server } from 'node:net'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { serve } from '@hono/node-server'
import t, { type Test } from 'tap'
import type { Client } from '../../src/client/index.js'
import { CLIENT_KEY, freshApp } from '../helpers/app.js'
import { blocksAfter } from '../helpers/doc-blocks.js'
import { call } from '../helpers/http-client.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'
import { addressOf } from '../helpers/revocations.js'
import { until } from '../helpers/wait.js'

await need('postgres')
const page = await readFile('docs/back-ends.md', 'utf8')
const folder = resolve('build', 'recipes')
await mkdir(folder, { recursive: true })
let recipes = 0

/** Runs the block of a framework after that of the client. @returns what both define */
async function run (name: string, url: string, onStale: string): Promise<{ app: any, client: Client }> {
  const [client = ''] = blocksAfter(page, 'client')
  const [block = ''] = blocksAfter(page, name)
  const text = `${client}\n${block}\nexport { app }\n`
    .replace("onStale: 'refuse'", `onStale: '${onStale}'`)
    .replace('process.env.COUNTERSIGN_URL', JSON.stringify(url)).replace('process.env.COUNTERSIGN_KEY', JSON.stringify(CLIENT_KEY))
    .replace(/'countersign\/client(?:\/(\w+))?'/g, (_, adapter = 'index') => JSON.stringify(resolve(`build/src/client/${adapter}.js`)))
  const file = join(folder, `${process.pid}-${recipes++}.mjs`)
  await writeFile(file, text)
  return await import(pathToFileURL(file).href)
}

const servers: Record<string, (app: any) => Server> = {
  express: (app) => app.listen(0, '127.0.0.1'),
  hono: (app) => serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }) as Server
}

async function started (t: Test, name: string, url: string, onStale: 'refuse' | 'ask'): Promise<string> {
  const { app, client } = await run(name, url, onStale)
  const server = servers[name]!(app)
  if (!server.listening) await once(server, 'listening')
  t.teardown(() => {
    client.close()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

for (const name of Object.keys(servers)) {
  t.test(`${name}: accepted, refused with our answer, ended elsewhere, and the service away`, async (t) => {
    const { app } = await freshApp(t, { JWT_ALG: 'EdDSA' })
    const url = await addressOf(app)
    const [refusing, asking] = [await started(t, name, url, 'refuse'), await started(t, name, url, 'ask')]
    const ada = await (await signUp(app, 'ada')).enrol()
    const unverified = ada.elsewhere()
    expect(200, await unverified.login())
    const optional = await signUp(app, 'optional')
    expect(200, await optional.login())

    for (const at of [refusing, asking]) {
      const accepted = await call(at, 'GET', '/invoices', { access: ada.access })
      t.same([accepted.status, accepted.json()], [200, { invoicesOf: ada.claims()['sub'] }])
      t.equal((await call(at, 'DELETE', '/invoices', { access: ada.access })).status, 204)
      for (const [method, access, status, code] of [
        ['GET', null, 401, 'TOKEN_INVALID'], ['GET', 'nonsense', 401, 'TOKEN_INVALID'], ['GET', ada.refresh, 401, 'TOKEN_INVALID'],
        ['GET', unverified.access, 403, 'OTP_REQUIRED'], ['DELETE', optional.access, 403, 'OTP_REQUIRED']
      ] as const) {
        const answer = await call(at, method, '/invoices', { access })
        t.match(answer.json(), { statusCode: status, code, error: String, message: String }, code)
        t.match([answer.status, answer.headers.get('x-refusal'), answer.headers.get('cache-control')], [status, code, 'no-store'])
        t.match(answer.headers.get('content-type'), /^application\/json/)
        const challenge = status === 401 ? 'Bearer error="invalid_token"' : /^Bearer error="insufficient_user_authentication"/
        t.match(answer.headers.get('www-authenticate'), challenge)
      }
    }

    expect(204, await optional.request('POST', '/token/revoke'))
    const endedAtMs = performance.now()
    const lastMs = { refusing: 0, asking: 0 }
    for (const [which, at] of [['refusing', refusing], ['asking', asking]] as const) {
      await until('the end', async () => {
        const beganAtMs = performance.now()
        const { status } = await call(at, 'GET', '/invoices', { access: optional.access })
        if (status === 200) lastMs[which] = beganAtMs - endedAtMs
        return status === 401
      })
    }
    t.ok(lastMs.refusing <= 1_000 && lastMs.asking <= 1_000, JSON.stringify(lastMs))

    // While the service ends, it refuses to be followed, and still answers for some seconds.
    const closed = app.close()
    await until('staleness', async () => (await call(refusing, 'GET', '/invoices', { access: ada.access })).status === 503)
    t.equal((await call(asking, 'GET', '/invoices', { access: ada.access })).status, 200, 'asked')
    await closed
    for (const at of [refusing, asking]) {
      const answer = await call(at, 'GET', '/invoices', { access: ada.access })
      t.match([answer.status, answer.json(), answer.headers.get('retry-after')], [503, { code: 'UNAVAILABLE' }, '1'])
    }
  })
}
