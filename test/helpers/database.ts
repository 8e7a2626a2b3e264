import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { serviceMigrations } from '../../migrations/index.js'
import { migrate } from '../../src/attach/tables.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { installClock, installedClock, SEARCH_PATH, type Query, type TestClock } from './clock.js'
import { stores } from './stores.js'
import { createOwner, type Owner } from './teardown.js'

export interface TestDatabase {
  /** Absent if embedded: then only the app can open it. */
  url?: string
  clock: TestClock
  query: Query
}

/** `npm test` names its run, so that it can drop the databases of a killed test file. */
const prefixOf = (run: string) => `countersign_test_${run}_`
const RUN = process.env['COUNTERSIGN_TEST_RUN'] ?? 'single'
/** `npm test` makes a template for each kind of tables before its files. A file that runs alone has none. */
const HAS_TEMPLATES = process.env['COUNTERSIGN_TEST_TEMPLATES'] === '1'

/** Tables of the service, or those of the plugin in the schema of a host. */
export type Tables = 'service' | 'host'

export const templateOf = (run: string, tables: Tables): string => `${prefixOf(run)}${tables}_tables`

/** A test reads and writes with PostgreSQL's defaults, independent of the database's settings. A pooler accepts no such options. */
const PLAIN = [
  'datestyle=ISO', 'extra_float_digits=1', 'default_transaction_isolation=read\\ committed', 'default_transaction_read_only=off',
  'statement_timeout=0', 'idle_session_timeout=0'
].map((setting) => `-c ${setting}`).join(' ')

/** Address of the server behind a pooler in DATABASE_URL. The service does not migrate through a pooler. */
const BEHIND_POOLER = process.env['COUNTERSIGN_TEST_BEHIND_POOLER']

/**
 * Creates an empty database with a test clock on the real Postgres, and drops it at the end.
 *
 * @param server a server of the test itself; nothing is dropped there, because the server can be stopped by then
 */
export async function freshDatabase (t: Owner, server?: string): Promise<TestDatabase & { url: string }> {
  const at = server ?? await ourServer()
  const url = await createDatabase(server === undefined ? t : undefined, at, { hasClock: true })
  const query = connect(t, url)
  return { url, query, clock: await installClock(query) }
}

/**
 * Creates a database for an app, which migrates it if necessary: in a run it is a copy of a migrated one, in a third of the time.
 * For a test of migrations itself: `freshDatabase`.
 */
export async function appDatabase (t: Owner, tables: Tables): Promise<TestDatabase & { url: string }> {
  if (!HAS_TEMPLATES) {
    const db = await freshDatabase(t)
    if (tables === 'service' && BEHIND_POOLER !== undefined) await migrateDirectly(new URL(new URL(db.url).pathname, BEHIND_POOLER).href)
    return db
  }
  const url = await createDatabase(t, await ourServer(), { hasClock: true, template: templateOf(RUN, tables) })
  const query = connect(t, url)
  return { url, query, clock: installedClock(query) }
}

async function ourServer (): Promise<string> {
  const { databaseUrl } = await stores()
  if (databaseUrl === undefined) throw new Error("No PostgreSQL here: put await need('postgres') at the top of the file")
  return databaseUrl
}

/**
 * Opens a pool that listens for lost connections, which are normal: tests end connections and stop servers. Also after its end, which
 * waits for no connection to close (pg-pool 3.14.0): a database that is dropped by force then ends them.
 */
export function openPool (url: string, config: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, ...config })
  return pool.on('error', () => {})
}

/** Opens the test's own connections. */
function connect (t: Owner, url: string): Query {
  const pool = openPool(url, {
    max: 4,
    connectionTimeoutMillis: 10_000,
    // A new connection costs the server 9 ms of CPU.
    idleTimeoutMillis: 10_000,
    allowExitOnIdle: true,
    ...(BEHIND_POOLER === undefined ? { options: PLAIN } : {})
  })
  t.teardown(() => pool.end())
  return (async (text, values = []) => (await pool.query(text, [...values])).rows) as Query
}

/**
 * Creates a database without a test clock, whose cost would be measured too. @param t drops it at the end, if given @returns
 * its address
 */
export async function emptyDatabase (t: Owner | undefined, server: string): Promise<string> {
  return await createDatabase(t, server)
}

interface Making { name?: string, template?: string, hasClock?: boolean }

async function createDatabase (t: Owner | undefined, server: string, making: Making = {}): Promise<string> {
  const { name = `${prefixOf(RUN)}${randomBytes(6).toString('hex')}`, template = 'template0', hasClock = false } = making
  await onServer(server, [
    `create database ${name} template ${template} encoding 'UTF8'`,
    ...(hasClock ? [`alter database ${name} set search_path = ${SEARCH_PATH}`] : [])
  ])
  t?.teardown(() => onServer(server, `drop database if exists ${name} with (force)`))
  const address = new URL(server)
  address.pathname = `/${name}`
  return address.toString()
}

/** Creates the templates of a run, with a test clock. `dropLeftovers` drops them. */
export async function makeTemplates (server: string, run: string): Promise<void> {
  const at = BEHIND_POOLER ?? server
  for (const tables of ['service', 'host'] as const) {
    const owner = createOwner()
    const url = await createDatabase(undefined, at, { name: templateOf(run, tables), hasClock: true })
    await installClock(connect(owner, url))
    await (tables === 'service' ? migrateDirectly(url) : migrate(url))
    // A copy needs a template without connections.
    await owner.end()
  }
}

/** Drops the databases that the files of this run did not drop. The runner calls it at the end. @returns their number */
export async function dropLeftovers (server: string, run: string): Promise<number> {
  const left = await onServer(server,
    'select datname as name from pg_database where starts_with(datname, $1)', [prefixOf(run)])
  for (const { name } of left) await onServer(server, `drop database if exists ${pg.escapeIdentifier(String(name))} with (force)`)
  return left.length
}

async function migrateDirectly (url: string): Promise<void> {
  const pool = openPostgres(url, 2, () => {}, 0)
  await migrateUp(pool.dialect, serviceMigrations).finally(() => pool.close())
}

/** Runs one statement, or several without values. @returns the rows of the last one */
export async function onServer (url: string, text: string | readonly string[], values: string[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  client.on('error', () => {})
  await client.connect()
  try {
    let rows: Record<string, unknown>[] = []
    for (const statement of [text].flat()) rows = (await client.query(statement, values)).rows
    return rows
  } finally {
    await client.end()
  }
}
