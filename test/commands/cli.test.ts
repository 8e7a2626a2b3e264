import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import t from 'tap'
import { serviceMigrations } from '../../migrations/index.js'
import { migrateDownCommand, migrateStatusCommand, migrateUpCommand } from '../../src/commands/migrate.js'
import { readConfig } from '../../src/config/config.js'
import { freshDatabase } from '../helpers/database.js'
import { command, start, worked } from '../helpers/command.js'
import { embeddedDataDir } from '../helpers/embedded-data.js'
import { need } from '../helpers/need.js'
import { targetOf, tcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const { version } = createRequire(import.meta.url)('../../../package.json') as { version: string }
const PASSWORD = 'correct horse battery'
const settings = {
  DATABASE_URL: (await freshDatabase(t)).url,
  JWT_KEYS: `a:${randomBytes(32).toString('base64url')}`,
  SEAL_KEYS: `b:${randomBytes(32).toString('base64url')}`
}

t.test('what was typed wrong exits with 2, help and version with 0', async (t) => {
  for (const args of [['nope'], ['user', 'create'], ['migrate', 'sideways'], ['user', 'list', '--nope'], ['import', 'django']]) {
    const { code, stdout, stderr } = await command(args, settings)
    t.equal(code, 2, args.join(' '))
    t.equal(stdout, '')
    t.match(stderr, /^error: /)
  }
  const from = ['--from', 'postgres://nobody@127.0.0.1:1/nothing']
  const wrong: Array<readonly [args: string[], env?: Record<string, string>]> = [
    [['keys', 'new', 'RS256']],
    [['user', 'events', 'ada', '--limit', '0']],
    ...['up', 'status', 'sql'].map((name): [string[]] => [['tables', name, '--schema', 'Two Words']]),
    [['tables', 'sql', '--schema', '']],
    [['import', 'better-auth', ...from]],
    [['import', 'better-auth', ...from], { BETTER_AUTH_SECRETS: 'hunter2' }],
    [['import', 'supabase', ...from], { SUPABASE_DB_ENCRYPTION_KEY: 'hunter2' }]
  ]
  for (const [args, env = {}] of wrong) {
    const { code, stdout, stderr } = await command(args, { ...settings, ...env })
    t.equal(code, 2, args.join(' '))
    t.equal(stdout, '')
    t.match(stderr, /^(?!.*hunter2).+\n$/)
  }
  t.match(await command(['--help'], {}), { code: 0, stdout: /Exit codes: 0 done/ })
  t.match(await command(['--version'], {}), { code: 0, stdout: `${version}\n` })
})

t.test('O9 config check: one line that names the variable, never its value', async (t) => {
  t.match(await command(['config', 'check'], settings), { code: 0, stdout: 'The configuration is sound.\n', stderr: '' })
  const wrong = await command(['config', 'check'], { ...settings, SEAL_KEYS: 'a:hunter2' })
  t.match(wrong, { code: 1, stdout: '', stderr: /^SEAL_KEYS must .*\n$/ })
  t.notMatch(wrong.stderr, 'hunter2')
  t.match(JSON.parse((await command(['config', 'check', '--json'], { ...settings, PORT: 'x' })).stderr), {
    error: { command: 'check', message: /^PORT must/ }
  })
})

const all = Object.keys(serviceMigrations)
const toDo = all.map((name) => `to do: ${name}\n`).join('')

t.test('migrate: status exits with 1 while there is something to do; down asks to be meant', async (t) => {
  t.match(await command(['migrate', 'status'], settings), { code: 1, stdout: toDo })
  t.match(await command(['user', 'list'], { ...settings, MIGRATE: 'off' }), { code: 1, stderr: /countersign migrate up/ })
  t.match(JSON.parse((await worked((io) => migrateUpCommand(io, readConfig(settings)), '', true)).stdout), {
    done: all.map(() => ({ direction: 'Up' }))
  })
  t.match(await worked((io) => migrateStatusCommand(io, readConfig(settings)), '', true), {
    code: 0, stdout: '{"pending":[],"unknown":[]}\n'
  })
  await t.rejects(worked((io) => migrateDownCommand(io, readConfig(settings), {})), { name: 'MisuseError', message: /--yes/ })
  t.match(await command(['migrate', 'down', '--yes'], settings), { code: 0, stdout: `down: ${all.at(-1)}\n` })
})

t.test('O10 without DATABASE_URL: the embedded data, under the server\'s lock', { timeout: 240_000 }, async (t) => {
  const embedded = { DATA_DIR: await embeddedDataDir(t), LOG_LEVEL: 'silent', PORT: '0' }
  t.match(await command(['migrate', 'up'], embedded), { code: 0 })
  t.match(await command(['user', 'create', 'ada'], embedded, `${PASSWORD}\n`), { code: 0 })
  const server = start(['serve'], { ...embedded, LOG_LEVEL: 'info' })
  t.teardown(() => server.kill('SIGKILL'))
  let log = ''
  server.stdout.setEncoding('utf8').on('data', (text: string) => { log += text })
  const address = await until('the server to listen', () => /listening at (http:\S+?)"/.exec(log)?.[1], 60_000)
  t.match(await command(['serve'], embedded), { code: 1, stdout: '', stderr: /^DATA_DIR is in use by another process/ })
  t.match(await command(['user', 'list'], embedded), { code: 0, stdout: /ada/, stderr: '' }, 'a command goes through the service')
  const answer = await fetch(`${address}/token`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ username: 'ada', password: PASSWORD })
  })
  t.equal(answer.status, 200)
  t.match(await command(['otp', 'reset', 'ada'], embedded), { code: 0 })
  const closed = new Promise<number | null>((resolve) => { server.once('close', resolve) })
  server.kill('SIGTERM')
  t.equal(await closed, 0)
  t.match(JSON.parse((await command(['user', 'list', '--json'], embedded)).stdout), { username: 'ada' })
})

t.test('a database behind a slow line is waited for', async (t) => {
  const proxy = await tcpProxy(t, targetOf(settings.DATABASE_URL))
  proxy.delayMs = 1_500
  t.match(await command(['migrate', 'status'], { ...settings, DATABASE_URL: proxy.url(settings.DATABASE_URL) }), {
    stdout: `to do: ${all.at(-1)}\n`, stderr: ''
  })
})

t.test('the database away: one line, and 1', async (t) => {
  const away = { ...settings, DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' }
  const said = /^The database cannot be used now: [^\n]*ECONNREFUSED[^\n]*\n$/
  t.match(await command(['user', 'list'], away), { code: 1, stdout: '', stderr: said })
  t.match(JSON.parse((await command(['user', 'list', '--json'], away)).stderr), { error: { message: /ECONNREFUSED/ } })
})
