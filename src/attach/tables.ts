import { secondFactorMigrations } from '../../migrations/index.js'
import { Refusal } from '../core/refusals.js'
import { requireServer, withHostDialect, type HostDatabase } from '../tables/host-database.js'
import { migrateUp, migrationScript, readMigrations } from '../postgres/migrator.js'
import { STATEMENT_MS } from '../postgres/pool.js'

/** Where our tables live in a host's database, out of the way of its own. */
export const DEFAULT_SCHEMA = 'countersign'

export interface TablesOptions {
  /** A schema of PostgreSQL; made if it is not there. Each `namespace` wants one of its own. */
  schema?: string
}

/** The part of a logger that is used. */
interface Log { warn (facts: object, line: string): void }

/** Plain, since it goes into SQL that is printed; 63 bytes is what PostgreSQL keeps of a name. */
const SCHEMA = /^[a-z_][a-z0-9_]{0,62}$/

/** @throws {TypeError} */
export function schemaOf ({ schema = DEFAULT_SCHEMA }: TablesOptions = {}): string {
  if (typeof schema !== 'string' || !SCHEMA.test(schema)) throw new TypeError('countersign: "tables.schema" must be lower-case letters, digits and _')
  return schema
}

/**
 * Brings our tables up to date; does nothing where they are. Replicas that do it at once wait for the first. Takes a
 * direct connection: behind pgbouncer in transaction mode the lock of migrations does not hold.
 *
 * @returns the names of the migrations that it ran
 * @throws if the server is not PostgreSQL 15 or later with UTF8, or refuses the connection or the role for good
 */
export async function migrate (database: HostDatabase, tables: TablesOptions = {}): Promise<string[]> {
  const schema = schemaOf(tables)
  await requireServer(database)
  return (await withHostDialect(database, 0, (dialect) => migrateUp(dialect, secondFactorMigrations, schema))).map(({ name }) => name)
}

/** The same as SQL, to be run with a host's own migrations; `migrate` finds nothing to do afterwards. */
export async function migrationSql (tables: TablesOptions = {}): Promise<string> {
  return await migrationScript(secondFactorMigrations, schemaOf(tables))
}

export interface TablesVersion {
  /** The newest of this version's migrations that was run; null before the first. */
  version: string | null
  /** The names of those still to come. */
  pending: string[]
  /** Those that a newer version of this package ran: this one works on its tables, and does not take them back. */
  unknown: string[]
}

/** Which version our tables are at. */
export async function tablesVersion (database: HostDatabase, tables: TablesOptions = {}): Promise<TablesVersion> {
  const schema = schemaOf(tables)
  const { pending, unknown } = await withHostDialect(database, STATEMENT_MS, (dialect) => readMigrations(dialect, secondFactorMigrations, schema))
  const version = Object.keys(secondFactorMigrations).filter((name) => !pending.includes(name)).at(-1) ?? null
  return { version, pending, unknown }
}

/**
 * A host that forgot to migrate learns it at start.
 *
 * @returns false if PostgreSQL does not answer: the host serves 503 until it does
 * @throws if the tables are not up to date, or the server cannot be used
 */
export async function requireTables (database: HostDatabase, schema: string, log: Log): Promise<boolean> {
  const state = await requireServer(database).then(() => tablesVersion(database, { schema })).catch((error: unknown) => {
    if (error instanceof Refusal) return null
    throw error
  })
  if (state === null) return false
  const { pending, unknown } = state
  const where = `countersign: the tables in the schema "${schema}"`
  if (pending.length > 0 && unknown.length > 0) throw new Error(`${where} are of another version: they have ${unknown.join(', ')}, and lack ${pending.join(', ')}`)
  if (pending.length > 0) throw new Error(`${where} are not up to date: await countersign.migrate(database) first`)
  if (unknown.length > 0) log.warn({ unknown }, `${where} are of a newer version`)
  return true
}
