import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { mkdir, writeFile } from 'node:fs/promises'
import t from 'tap'
import { freshDatabase } from './helpers/database.js'
import { call } from './helpers/http-client.js'
import { startServer } from './helpers/server-process.js'
import { freshDataDir, freshKeys } from './helpers/settings.js'
import { stores } from './helpers/stores.js'
import { targetOf, tcpProxy } from './helpers/tcp-proxy.js'
import { until } from './helpers/wait.js'

const { databaseUrl } = await stores()
/** PGlite starts twice, on a machine with other load. */
t.setTimeout(100_000)
/** Each test has its own servers. */
t.jobs = 3
const keys = freshKeys()

t.test('O9 bad configuration exits with 1, and one line that names the variable and not the value', { timeout: 90_000 }, async (t) => {
  const file = await freshDataDir(t)
  await mkdir(file, { recursive: true })
  await writeFile(`${file}/file`, '')
  // config.test.ts shows the refusals of each variable, and that no refusal repeats the value.
  const table: Array<readonly [variable: string, settings: Record<string, string>]> = [
    ['DATABASE_URL', { DATABASE_URL: 'mysql://root:hunter2@x/y' }],
    ['DATA_DIR', { DATA_DIR: `${file}/file/hunter2` }]
  ]
  await Promise.all(table.map(async ([variable, settings]) => {
    const server = startServer(t, { DATA_DIR: file, ...settings })
    t.equal(await server.exited, 1, variable)
    const lines = server.said().trim().split('\n')
    t.equal(lines.length, 1, `${variable}: ${server.said()}`)
    t.ok(lines[0]!.includes(variable), `names ${variable}: ${server.said()}`)
    t.notOk(server.said().includes('hunter2'), `${variable}: not the value`)
  }))
})

t.test('O9 O10 a port that is taken, a folder that is taken: one line, exit 1; after kill -9 the next start works at once', {
  timeout: 90_000
}, async (t) => {
  const folder = await freshDataDir(t)
  const first = startServer(t, { DATA_DIR: folder })
  const base = await first.listening()
  t.equal((await call(base, 'GET', '/readyz')).status, 200)

  const second = startServer(t, { DATA_DIR: folder })
  t.equal(await second.exited, 1)
  t.equal(second.said().trim().split('\n').length, 1, second.said())
  t.match(second.said(), /DATA_DIR/)
  t.equal((await call(base, 'GET', '/readyz')).status, 200, 'the first one goes on')

  const occupied = createServer().listen(0, '127.0.0.1')
  await once(occupied, 'listening')
  t.teardown(() => { occupied.close() })
  await first.kill('SIGKILL')
  // Any store will do; PostgreSQL starts faster.
  const store = databaseUrl === undefined ? {} : { ...keys, DATABASE_URL: (await freshDatabase(t)).url }
  const third = startServer(t, { DATA_DIR: folder, ...store, PORT: String((occupied.address() as AddressInfo).port), LOG_LEVEL: 'warn' })
  t.equal(await third.exited, 1)
  t.equal(third.said().trim().split('\n').length, 1, third.said())
  t.match(third.said(), /^PORT /)

  const fourth = startServer(t, { DATA_DIR: folder })
  t.equal((await call(await fourth.listening(), 'GET', '/readyz')).status, 200, 'the killed ones left nothing in the way')
})

t.test('O9 O3 Postgres absent at the start: 503, then served when it comes; gone and back: the same', {
  timeout: 60_000, skip: databaseUrl === undefined && 'needs PostgreSQL'
}, async (t) => {
  const db = await freshDatabase(t)
  const proxy = await tcpProxy(t, targetOf(db.url))
  await proxy.cut()
  const server = startServer(t, { ...keys, DATABASE_URL: proxy.url(db.url), DATA_DIR: await freshDataDir(t), NETWORK_LIMITS: 'off' })
  const base = await server.listening()
  const login = () => call(base, 'POST', '/token', { body: { username: 'x', password: 'y' } })
  t.equal((await call(base, 'GET', '/livez')).status, 200)
  t.match(await call(base, 'GET', '/readyz'), { status: 503, text: /"postgres":"down"/ })
  t.equal((await login()).status, 503)

  await proxy.restore()
  await until('it to be ready', async () => (await call(base, 'GET', '/readyz')).status === 200, 5_000)
  t.equal((await login()).status, 401)

  for (let i = 0; i < 3; i++) {
    const underWay = Array.from({ length: 20 }, login)
    await proxy.cut()
    for (const { status } of await Promise.all(underWay)) t.ok([401, 429, 503].includes(status), `${status}`)
    const startedAtMs = performance.now()
    t.ok([503, 429].includes((await login()).status))
    t.ok(performance.now() - startedAtMs < 2_500)
    await proxy.restore()
    await until('it to be back', async () => (await call(base, 'GET', '/readyz')).status === 200, 5_000)
  }
  t.equal(await server.kill('SIGTERM'), 0, 'the process lived through it')
})
