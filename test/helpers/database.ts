import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { serviceMigrations } from '../../migrations/index.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { installClock, SEARCH_PATH, type Query, type TestClock } from './clock.js'
import { stores } from './stores.js'
import type { Owner } from './teardown.js'

export interface TestDatabase {
  /** Absent if embedded: then only the app can open it. */
  url?: string
  clock: TestClock
  query: Query
}

/** `npm test` names its run, so that it can drop the databases of a killed test file. */
const PREFIX = `countersign_test_${process.env['COUNTERSIGN_TEST_RUN'] ?? 'single'}_`

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
  const at = server ?? (await stores()).databaseUrl
  if (at === undefined) throw new Error("No PostgreSQL here: put await need('postgres') at the top of the file")
  const url = await emptyDatabase(server === undefined ? t : undefined, at)
  await onServer(at, `alter database ${new URL(url).pathname.slice(1)} set search_path = ${SEARCH_PATH}`)
  if (server === undefined && BEHIND_POOLER !== undefined) await migrateDirectly(new URL(new URL(url).pathname, BEHIND_POOLER).href)
  const pool = new pg.Pool({
    connectionString: url,
    max: 4,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 1_000,
    allowExitOnIdle: true,
    ...(BEHIND_POOLER === undefined ? { options: PLAIN } : {})
  })
  // Tests end connections and stop servers, so a connection error is normal.
  pool.on('error', () => {})
  t.teardown(() => pool.end())

  const query = (async (text, values = []) => (await pool.query(text, [...values])).rows) as Query
  return { url, query, clock: await installClock(query) }
}

/**
 * Creates a database without a test clock, whose cost would be measured too. @param t drops it at the end, if given @returns
 * its address
 */
export async function emptyDatabase (t: Owner | undefined, server: string): Promise<string> {
  const name = `${PREFIX}${randomBytes(6).toString('hex')}`
  await onServer(server, `create database ${name} template template0 encoding 'UTF8'`)
  t?.teardown(() => onServer(server, `drop database if exists ${name} with (force)`))
  const address = new URL(server)
  address.pathname = `/${name}`
  return address.toString()
}

/** Drops the databases that the files of this run did not drop. The runner calls it at the end. @returns their number */
export async function dropLeftovers (server: string, run: string): Promise<number> {
  const left = await onServer(server,
    "select datname as name from pg_database where starts_with(datname, 'countersign_test_' || $1 || '_')", [run])
  for (const { name } of left) await onServer(server, `drop database if exists ${pg.escapeIdentifier(String(name))} with (force)`)
  return left.length
}

async function migrateDirectly (url: string): Promise<void> {
  const pool = openPostgres(url, 2, () => {}, 0)
  await migrateUp(pool.dialect, serviceMigrations).finally(() => pool.close())
}

export async function onServer (url: string, text: string, values: string[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  client.on('error', () => {})
  await client.connect()
  try {
    return (await client.query(text, values)).rows
  } finally {
    await client.end()
  }
}
