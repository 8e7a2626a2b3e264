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
import { need } from '../helpers/need.js'
import { addressOf } from '../helpers/revocations.js'
import { backEndFlow } from './back-end-flow.js'

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
    await backEndFlow(t, app, refusing, asking)
  })
}
