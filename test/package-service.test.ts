/** The package of the service, installed into an empty folder from a registry, as its README says. */
import { readdir, readFile, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { call } from './helpers/http-client.js'
import { freshDatabase } from './helpers/database.js'
import { need } from './helpers/need.js'
import { isRunning, startNode, startProgram } from './helpers/node-process.js'
import { packed, projectAt } from './helpers/package.js'
import { registryWith } from './helpers/registry.js'
import { freshKeys } from './helpers/settings.js'
import { temporaryFolder } from './helpers/temporary-folder.js'
import { until } from './helpers/wait.js'

await need('postgres')

const MOST_MB = 70
// Packing compiles, and installing downloads.
t.setTimeout(600_000)

const registry = await registryWith(t, [await packed(), await packed('countersign-service')])
const project = await projectAt(await temporaryFolder(t))
const modules = join(project.folder, 'node_modules')
const installed = await project.run('npm', [
  'install', '--registry', registry, '--replace-registry-host=never', '--prefer-offline', '--no-audit', '--no-fund', 'countersign-service'
])

t.test('it installs with no warning and in at most 70 MB', async (t) => {
  t.match(installed, { code: 0 })
  t.notMatch(installed.stderr, /warn/)
  const files = await Promise.all((await readdir(modules, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile()).map((entry) => stat(join(entry.parentPath, entry.name))))
  const onDisk = files.reduce((sum, { blocks }) => sum + blocks * 512, 0)
  t.comment(`${Math.round(onDisk / 2 ** 20)} MiB on disk, ${files.length} files`)
  t.ok(onDisk <= MOST_MB * 2 ** 20, `${onDisk} bytes`)
})

t.test('it says which packages are in its bundle, with their licences', async (t) => {
  const text = await readFile(join(modules, 'countersign-service', 'THIRD-PARTY.md'), 'utf8')
  for (const name of ['fastify', 'ioredis', 'pg', '@fastify/jwt', 'lit']) t.match(text, new RegExp(`^## ${name} \\d`, 'm'))
  t.equal(text.match(/^## \S+ \d/gm)?.length, text.match(/^Licence: (?!undefined)\S/gm)?.length)
})

t.test('npx countersign serve runs it, embedded; SIGTERM to npx drains it', async (t) => {
  const npx = startProgram(t, 'npx', ['countersign', 'serve'], { HOME: process.env['HOME'] ?? '', PORT: '0' }, project.folder)
  const base = await npx.saying(/Server listening at (http:\/\/[^"]+)/, 'the service to listen')
  const pid = Number(/"pid":(\d+)/.exec(npx.said())?.[1])
  t.teardown(() => { if (isRunning(pid)) process.kill(pid, 'SIGKILL') })
  t.equal((await call(base, 'GET', '/readyz')).status, 200)
  for (const path of ['/docs/', '/docs/static/swagger-ui-bundle.js', '/docs/static/logo.svg', '/openapi.json', '/', '/me']) {
    t.equal((await fetch(base + path)).status, 200, path)
  }
  const script = /src="\.\/(assets\/[^"]+)"/.exec(await (await fetch(`${base}/`)).text())?.[1] ?? ''
  t.match((await fetch(`${base}/${script}`)).headers.get('content-type'), 'text/javascript')
  const ada = { username: 'ada', password: 'correct horse battery staple' }
  t.equal((await call(base, 'POST', '/users', { body: { ...ada, email: 'ada@example.org' } })).status, 201)
  t.equal((await call(base, 'POST', '/token', { body: ada })).status, 200)
  await npx.kill('SIGTERM')
  await until('the service to end', () => !isRunning(pid), 30_000)
  t.match(npx.said(), /"signal":"SIGTERM"/)
  const { code, stdout } = await project.run('npx', ['countersign', 'user', 'list', '--json'])
  t.match({ code, stdout }, { code: 0, stdout: /"username":"ada"/ })
})

t.test('with DATABASE_URL it does not load the embedded database', async (t) => {
  await rm(join(modules, '@electric-sql'), { recursive: true })
  const { url } = await freshDatabase(t)
  const bin = join(modules, 'countersign', 'dist', 'src', 'bin.js')
  const service = startNode(t, [bin, 'serve'], { PORT: '0', DATABASE_URL: url, ...freshKeys() }, project.folder)
  await service.saying(/Server listening at (http:\/\/[^"]+)/, 'the service to listen')
  t.equal(await service.kill('SIGINT'), 0)
})
