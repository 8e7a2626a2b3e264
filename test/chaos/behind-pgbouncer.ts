/**
 * Runs the whole test suite through pgbouncer, in transaction mode, in front of its own PostgreSQL. Needs pgbouncer and
 * the programs of a PostgreSQL server; takes as long as `npm test`.
 *
 *   npm run build && node build/test/chaos/behind-pgbouncer.js [test files]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { startPgbouncer } from './pgbouncer.js'
import { startPostgres } from './postgres-server.js'

const RUN = join(import.meta.dirname, '../helpers/run.js')

const MIGRATES = 'migrates, and the service does so over a direct address only'
const MOVES_IN = "loads another system's database, whose dump leaves its settings on the pooler's connections"
const HOST = 'a host migrates as it starts, over a direct address'
/** Test files that cannot run through a pooler, with the reason. */
const needsDirect: Record<string, string> = {
  'test/postgres/migrator.test.ts': MIGRATES,
  'test/promises/replicas-that-start-together-migrate-once.test.ts': MIGRATES,
  'test/chaos/invariants.test.ts': MIGRATES,
  'test/commands/cli.test.ts': MIGRATES,
  'test/commands/import/django.test.ts': MOVES_IN,
  'test/factors/recovery/weak-codes.test.ts': MOVES_IN,
  'test/imports/django/devices.test.ts': MOVES_IN,
  'test/imports/django/import-many.test.ts': MOVES_IN,
  'test/imports/django/import.test.ts': MOVES_IN,
  'test/imports/django/people.test.ts': MOVES_IN,
  'test/regressions/a-late-migration-that-fails-holds-the-process.test.ts': MIGRATES,
  'test/regressions/a-host-on-a-unix-socket-answers-500.test.ts': HOST,
  'test/regressions/a-request-without-a-body-is-forged-from-another-origin.test.ts': HOST,
  'test/regressions/a-session-is-seen-while-its-host-moves-to-it.test.ts': HOST,
  'test/regressions/what-a-host-answers-is-taken-as-it-is.test.ts': HOST,
  'test/migrate.test.ts': 'migrates, and brings a pooler of its own',
  'test/postgres/server-pool.test.ts': "ends Postgres' connections one by one: the pooler's are not the service's",
  'test/regressions/a-session-that-moves-outlives-the-end-of-all.test.ts':
    "holds a lock of a connection's, which a pooler hands to another client",
  'test/regressions/a-connection-lost-in-a-statement-ends-the-process.test.ts':
    "ends Postgres' connections one by one: the pooler's are not the service's"
}

const all = (await readdir('test', { recursive: true }))
  .filter((name) => name.endsWith('.test.ts')).map((name) => join('test', name)).sort()
for (const name of all.filter((name) => name.startsWith('test/attached/'))) needsDirect[name] = HOST
const chosen = process.argv.length > 2 ? process.argv.slice(2) : all.filter((name) => !(name in needsDirect))
for (const [name, reason] of Object.entries(needsDirect)) console.log(`left out: ${name}: ${reason}`)

const undos: Array<() => unknown> = []
const undo = (one: () => unknown) => { undos.push(one) }
try {
  const postgres = await startPostgres(undo, ['max_connections=400', 'fsync=off'])
  const { url } = await startPgbouncer(undo, postgres.url)
  const env = { ...process.env, DATABASE_URL: url(postgres.url), COUNTERSIGN_TEST_BEHIND_POOLER: postgres.url }
  const [code] = await once(spawn(process.execPath, [RUN, ...chosen], { stdio: 'inherit', env }), 'exit')
  process.exitCode = code ?? 1
} finally {
  for (const one of undos.reverse()) await one()
}
