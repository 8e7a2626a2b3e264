import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { serviceMigrations } from '../migrations/index.js'
import { startPgbouncer } from './chaos/pgbouncer.js'
import { command } from './helpers/command.js'
import { freshDatabase } from './helpers/database.js'
import { freePort } from './helpers/free-port.js'
import { need } from './helpers/need.js'
import { startServer } from './helpers/server-process.js'
import { freshKeys } from './helpers/settings.js'

const server = await need('postgres')
await need('pgbouncer')

const names = Object.keys(serviceMigrations)
const tables = "select tablename from pg_tables where schemaname = 'public'"

/** Runs `npm run migrate` with only an address. */
async function migrate (url?: string): Promise<{ code: number, said: string }> {
  const child = spawn(
    process.execPath, [join(import.meta.dirname, '../src/migrate.js')], { env: url === undefined ? {} : { DATABASE_URL: url } }
  )
  let said = ''
  for (const output of [child.stdout, child.stderr]) output.on('data', (bytes: Buffer) => { said += bytes.toString() })
  const [code] = await once(child, 'close')
  return { code: code as number, said: said.trim() }
}

t.test('M2 through a pooler nothing is migrated; over a direct address it is, once; then the service runs behind the pooler', async (t) => {
  const { url, query } = await freshDatabase(t)
  const pooler = await startPgbouncer((undo) => t.teardown(undo), server)
  const pooled = pooler.url(url)
  const keys = freshKeys()

  const refused = startServer(t, { ...keys, DATABASE_URL: pooled })
  t.equal(await refused.exited, 1)
  t.match(
    refused.said(),
    /^DATABASE_URL must lead to PostgreSQL itself, not to a pooler, while there are tables to migrate .*\.\n$/,
    'one line, without the address'
  )
  t.match(await migrate(pooled), { code: 1, said: /^DATABASE_URL must lead to PostgreSQL itself, not to a pooler: .*\.$/ })
  for (const args of [['migrate', 'up'], ['migrate', 'down', '--yes']]) {
    t.match(
      await command(args, { ...keys, DATABASE_URL: pooled }),
      { code: 1, stderr: /^DATABASE_URL must lead to PostgreSQL itself, not to a pooler: .*\.\n$/ },
      args.join(' ')
    )
  }
  t.match(await command(['user', 'list'], { ...keys, DATABASE_URL: pooled }), { code: 1, stderr: /^The database has no tables[^\n]*\n$/ })
  t.same(await query(tables), [], 'nothing was made')

  t.same(await migrate(url), { code: 0, said: names.map((name) => `migrated: ${name}`).join('\n') })
  t.same(await migrate(url), { code: 0, said: 'The tables are up to date.' })
  for (const MIGRATE of ['on', 'off']) {
    const replica = startServer(t, { ...keys, DATABASE_URL: pooled, MIGRATE })
    await replica.ready()
    t.equal(await replica.kill('SIGTERM'), 0)
  }
})

t.test('an address that is missing, wrong or answered by nobody: one line, exit 1, no address in it', async (t) => {
  t.same(await migrate(), { code: 1, said: 'DATABASE_URL must be an address that starts with postgres:// or postgresql://.' })
  t.match(await migrate('postgres://ada:s3cret@[oops/x'), { code: 1, said: /^DATABASE_URL must [^\n@]*$/ })
  t.match(
    await migrate(`postgres://ada:s3cret@127.0.0.1:${await freePort()}/x`),
    { code: 1, said: /^The database cannot be used now: [^\n]*ECONNREFUSED[^\n]*$/ }
  )
})
