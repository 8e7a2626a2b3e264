/**
 * `DATABSE_URL=…` started the embedded database with new keys and without a warning. `otp reset ada` in an empty folder made
 * a database and answered that no user has this name.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { importDjangoCommand } from '../../src/commands/import/django.js'
import type { Io } from '../../src/commands/io.js'
import { rotateKeysCommand } from '../../src/commands/keys/keys.js'
import { migrateDownCommand, migrateStatusCommand, migrateUpCommand } from '../../src/commands/migrate.js'
import { otpStatusCommand, resetOtpCommand } from '../../src/commands/otp.js'
import { endSessionsCommand, listSessionsCommand } from '../../src/commands/sessions.js'
import { deactivateUserCommand, unlockUserCommand } from '../../src/commands/user/changes.js'
import {
  createUserCommand, findUserCommand, listUsersCommand, setPasswordCommand, showUserCommand, userEventsCommand
} from '../../src/commands/user/user.js'
import { readConfig } from '../../src/config/config.js'
import { command, worked } from '../helpers/command.js'
import { freshDatabase } from '../helpers/database.js'
import { embeddedDataDir } from '../helpers/embedded-data.js'
import { freePort } from '../helpers/free-port.js'
import { call } from '../helpers/http-client.js'
import { startNode } from '../helpers/node-process.js'
import { freshKeys } from '../helpers/settings.js'
import { startServer } from '../helpers/server-process.js'
import { stores } from '../helpers/stores.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/wait.js'

const { databaseUrl } = await stores()
const CLI = join(import.meta.dirname, '../../src/bin.js')
t.setTimeout(180_000)

t.test('the service refuses to start, and makes nothing', async (t) => {
  for (const settings of [
    { DATABSE_URL: 'postgres://ada:hunter2@h/d' }, { DATABASE_URL_FILE: '/not/there/hunter2' },
    { DATABASE_URL_FIL: '/run/secrets/hunter2' }
  ]) {
    const dataDir = join(await temporaryFolder(t), 'data')
    const server = startServer(t, { ...settings, DATA_DIR: dataDir } as Record<string, string>)
    t.equal(await server.exited, 1)
    t.match(server.said(), /^DATABASE_URL(_FILE)? must [^\n]*\n$/)
    t.notMatch(server.said(), 'hunter2')
    t.notOk(existsSync(dataDir))
  }
})

t.test('no command but serve and migrate up makes a database or keys', async (t) => {
  const folder = await temporaryFolder(t)
  for (const dataDir of [join(folder, 'none'), folder]) {
    const { code, stdout, stderr } = await command(['otp', 'reset', 'ada'], { DATA_DIR: dataDir })
    t.equal(code, 1)
    t.equal(stdout, '')
    t.match(stderr, /^There is no database: DATABASE_URL [^\n]*\n$/)
  }
  const config = readConfig({ DATA_DIR: folder })
  const commands: Array<(io: Io) => Promise<unknown>> = [
    (io) => otpStatusCommand(io, config, 'ada'), (io) => listUsersCommand(io, config),
    (io) => createUserCommand(io, config, 'ada', {}), (io) => setPasswordCommand(io, config, 'ada'),
    (io) => rotateKeysCommand(io, config), (io) => migrateStatusCommand(io, config), (io) => migrateDownCommand(io, config, { yes: true }),
    (io) => importDjangoCommand(io, config, { from: 'postgres://u@127.0.0.1:1/d', password: 'x' })
  ]
  for (const run of commands) {
    const running = worked(async (io) => { await run(io) }, 'correct horse battery\n')
    await t.rejects(running, { name: 'CommandError', message: /^There is no database/ }, String(run))
  }
  const sound = /^The configuration is sound\.\nstore: embedded database in .*\nwarning: Trial mode/
  t.match(await command(['config', 'check'], { DATA_DIR: folder }), { code: 0, stdout: sound })
  t.strictSame(await readdir(folder), [])
})

const needsPostgres = { skip: databaseUrl === undefined && 'needs PostgreSQL' }
t.test('at a database without tables, and at one that is behind, only migrate up makes tables', needsPostgres, async (t) => {
  const { url, query } = await freshDatabase(t)
  const config = readConfig({ ...freshKeys(), DATABASE_URL: url, MIGRATE: 'on' })
  const tables = async () => await query('select tablename from pg_tables where schemaname = current_schema() order by 1')
  const before = await tables()
  const commands: ReadonlyArray<(io: Io) => Promise<unknown>> = [
    (io) => otpStatusCommand(io, config, 'ada'),
    (io) => resetOtpCommand(io, config, 'ada', { reason: 'lost' }),
    (io) => listUsersCommand(io, config),
    (io) => findUserCommand(io, config, 'ada'),
    (io) => showUserCommand(io, config, 'ada'),
    (io) => userEventsCommand(io, config, 'ada', { limit: '5' }),
    (io) => createUserCommand(io, config, 'ada', {}),
    (io) => setPasswordCommand(io, config, 'ada'),
    (io) => unlockUserCommand(io, config, 'ada'),
    (io) => deactivateUserCommand(io, config, 'ada', { reason: 'left' }),
    (io) => listSessionsCommand(io, config, 'ada'),
    (io) => endSessionsCommand(io, config, undefined, { all: true }),
    (io) => rotateKeysCommand(io, config), (io) => importDjangoCommand(io, config, { from: url, password: 'x' })
  ]
  const refusedBy = async (message: RegExp) => {
    for (const run of commands) {
      const running = worked(async (io) => { await run(io) }, 'correct horse battery\n')
      await t.rejects(running, { name: 'CommandError', message }, String(run))
    }
  }
  await refusedBy(/^The database has no tables.*countersign migrate up/)
  const atOnce = await Promise.allSettled(Array.from({ length: 10 }, () => worked((io) => listUsersCommand(io, config))))
  t.same(new Set(atOnce.map(({ status }) => status)), new Set(['rejected']))
  t.match(await worked((io) => migrateDownCommand(io, config, { yes: true })), { code: 0 })
  t.match(await worked((io) => migrateStatusCommand(io, config)), { code: 1 })
  t.strictSame(await tables(), before, 'nothing was made')
  const listed = await command(['user', 'list'], { ...freshKeys(), DATABASE_URL: url })
  t.match(listed, { code: 1, stdout: '', stderr: /^The database has no tables[^\n]*\n$/ })

  await worked((io) => migrateUpCommand(io, config))
  await worked((io) => migrateDownCommand(io, config, { yes: true }))
  const behind = await tables()
  await refusedBy(/^The tables are not up to date.*countersign migrate up/)
  t.strictSame(await tables(), behind)
  await worked((io) => migrateUpCommand(io, config))
  t.match(await worked((io) => createUserCommand(io, config, 'ada', {}), 'correct horse battery\n'), { code: 0 })
})

t.test('with a database and no keys: commands that need none work, the others make none; migrate up makes them', async (t) => {
  const dataDir = await embeddedDataDir(t)
  const isKey = (name: string) => name.endsWith('.key')
  const keys = async () => (await readdir(dataDir)).filter(isKey)
  t.match(await command(['migrate', 'up'], { DATA_DIR: dataDir }), { code: 0 })
  for (const key of await keys()) await rm(join(dataDir, key))
  t.match(await command(['user', 'create', 'ada'], { DATA_DIR: dataDir }, 'correct horse battery\n'), { code: 0 })
  const refused = { code: 1, stdout: '', stderr: /^There are no keys in DATA_DIR[^\n]*\n$/ }
  t.match(await command(['otp', 'reset', 'ada'], { DATA_DIR: dataDir }), refused)
  t.match(await command(['keys', 'rotate'], { DATA_DIR: dataDir }), { code: 1, stderr: /^There are no keys in DATA_DIR/ })
  t.strictSame(await keys(), [])
  t.match(await command(['migrate', 'up'], { DATA_DIR: dataDir }), { code: 0 })
  t.equal((await keys()).length, 2)
  t.match(await command(['otp', 'reset', 'ada'], { DATA_DIR: dataDir }), { code: 0, stdout: /^Reset/ })
})

t.test('trial mode is named at start, by /readyz and in a metric; the folder of the database is its owner\'s alone', async (t) => {
  const dataDir = await embeddedDataDir(t)
  await mkdir(join(dataDir, 'postgres'), { recursive: true, mode: 0o755 })
  // The two lines come in any order.
  const [port, opsPort] = [await freePort(), await freePort()]
  const base = `http://127.0.0.1:${port}`
  const server = startServer(t, { DATA_DIR: dataDir, PORT: String(port), OPS_PORT: String(opsPort), OPS_PORT_: 'x', OTP_ISSUER: 'A&B' })
  await server.ready()
  await until('the store to be named', () => server.said().includes('store: '))
  const lines = server.said().trim().split('\n').map((line) => JSON.parse(line) as { level: number, msg: string })
  t.match(lines.filter(({ msg }) => msg.startsWith('store: ')), [{ level: 40, msg: /^store: embedded database in .*Trial mode/ }])
  t.match(lines.find(({ msg }) => msg.startsWith('OPS_PORT_ ')), { level: 40 })
  t.match(lines.filter(({ msg }) => msg.includes('pyotp')), [{ level: 40 }])
  t.equal(((await stat(join(dataDir, 'postgres'))).mode & 0o777).toString(8), '700')

  const storeAt = async (at: string, headers: Record<string, string> = {}) =>
    ((await call(at, 'GET', '/readyz', { headers })).json() as { store?: string }).store
  t.match(await storeAt(base), /^embedded database in /)
  for (const name of ['x-forwarded-for', 'X-Forwarded-Host', 'forwarded', 'via', 'x-real-ip']) {
    t.equal(await storeAt(base, { [name]: 'for=127.0.0.1' }), undefined, name)
  }
  const ops = `http://127.0.0.1:${opsPort}`
  t.match(await storeAt(ops, { 'x-forwarded-for': '203.0.113.1' }), /^embedded database in /)
  t.match((await call(ops, 'GET', '/metrics')).text, /^countersign_store_info\{store="embedded"\} 1$/m)
})

t.test('.env in the working folder is read, and named', { skip: databaseUrl === undefined && 'needs PostgreSQL' }, async (t) => {
  const folder = await temporaryFolder(t)
  const { url } = await freshDatabase(t)
  const keys = freshKeys()
  const file = join(folder, 'url')
  await writeFile(file, `${url}\n`)
  const settings = { ...keys, DATABASE_URL_FILE: file, LOG_LEVEL: 'silent', PORT: '1' }
  await writeFile(join(folder, '.env'), Object.entries(settings).map(([name, value]) => `${name}=${value}\n`).join(''))
  const { saying, said } = startNode(t, [CLI, 'serve'], { LOG_LEVEL: 'info', PORT: '0' }, folder)
  await saying(/"msg":"(store: [^"]*)"/, 'the store to be named')
  const name = new URL(url).pathname.slice(1)
  t.match(said(), `/${name}, without Redis"`)
  t.match(said(), /\.env is read: DATABASE_URL_FILE, JWT_KEYS, SEAL_KEYS"/)
  for (const secret of [...Object.values(keys), new URL(url).password].filter(Boolean)) t.notMatch(said(), secret.split(':').at(-1))
  t.notOk(existsSync(join(folder, '.countersign')))
})
