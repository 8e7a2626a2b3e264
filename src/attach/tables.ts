import { secondFactorMigrations } from '../../migrations/index.js'
import { Refusal } from '../core/refusals.js'
import { requireCounts, requireServer, withHostDialect, type HostDatabase } from '../tables/host-database.js'
import { migrateUp, migrationScript, readMigrations } from '../postgres/migrator.js'
import { STATEMENT_MS } from '../timing/limits.js'

/** Schema of our tables in a host's database, separate from the host's own tables. */
export const DEFAULT_SCHEMA = 'countersign'

/** Place of our tables in a host's database. */
export interface TablesOptions {
  /**
   * Schema of PostgreSQL, created if it is missing. Each `namespace` needs a schema of its own.
   *
   * @default 'countersign'
   */
  schema?: string
}

/** Methods of the logger that are used here. */
interface Log { warn (facts: object, line: string): void }

/** Restricted, because the name is written into printed SQL. PostgreSQL keeps 63 bytes of a name. */
const SCHEMA = /^[a-z_][a-z0-9_]{0,62}$/
/** Rule of the name, for messages. */
export const SCHEMA_RULE = 'must be 1 to 63 lower-case letters, digits and _, with no digit at the beginning'

/** Returns true for a name that the schema can have. */
export function isSchema (schema: unknown): boolean {
  return typeof schema === 'string' && SCHEMA.test(schema)
}

/** @throws {TypeError} */
export function schemaOf ({ schema = DEFAULT_SCHEMA }: TablesOptions = {}): string {
  if (!isSchema(schema)) throw new TypeError(`countersign: "tables.schema" ${SCHEMA_RULE}`)
  return schema
}

/**
 * Migrates our tables to this version. Does nothing if they are up to date. Replicas that migrate at the same time wait for
 * the first one. Needs a direct connection: the lock of migrations does not work behind pgbouncer in transaction mode.
 *
 * @returns the names of the migrations that it ran
 * @throws if the server is not PostgreSQL 15 or later with UTF8, or permanently refuses the connection or the role
 */
export async function migrate (database: HostDatabase, tables: TablesOptions = {}): Promise<string[]> {
  const schema = schemaOf(tables)
  await requireServer(database)
  return (await withHostDialect(database, 0, (dialect) => migrateUp(dialect, secondFactorMigrations, schema))).map(({ name }) => name)
}

/** Returns the same migrations as SQL, for a host's own migration tool. `migrate` then finds nothing to do. */
export async function migrationSql (tables: TablesOptions = {}): Promise<string> {
  return await migrationScript(secondFactorMigrations, schemaOf(tables))
}

/** Migrations of our tables, by name: those that were run and those that were not. */
export interface TablesVersion {
  /** Newest migration of this version that was run; null before the first. */
  version: string | null
  /** Names of the migrations that are not run yet. */
  pending: string[]
  /**
   * Names of migrations that a newer version of this package ran. This version works with the newer tables and does not
   * revert them.
   */
  unknown: string[]
}

/** Returns the version of our tables. */
export async function tablesVersion (database: HostDatabase, tables: TablesOptions = {}): Promise<TablesVersion> {
  const schema = schemaOf(tables)
  const { pending, unknown } = await withHostDialect(database, STATEMENT_MS, (dialect) =>
    readMigrations(dialect, secondFactorMigrations, schema))
  const version = Object.keys(secondFactorMigrations).filter((name) => !pending.includes(name)).at(-1) ?? null
  return { version, pending, unknown }
}

/**
 * Checks at start that the host has migrated.
 *
 * @returns false if PostgreSQL does not answer: the host then answers 503 until it does
 * @throws if the tables are not up to date, or the server or the dialect of a Kysely instance cannot be used
 */
export async function requireTables (database: HostDatabase, schema: string, log: Log): Promise<boolean> {
  const unlessAway = (error: unknown): null => {
    if (error instanceof Refusal) return null
    throw error
  }
  const state = await requireServer(database).then(() => tablesVersion(database, { schema })).catch(unlessAway)
  if (state === null) return false
  const { pending, unknown } = state
  const where = `countersign: the tables in the schema "${schema}"`
  if (pending.length > 0 && unknown.length > 0) {
    throw new Error(`${where} are of another version: they have ${unknown.join(', ')}, and lack ${pending.join(', ')}`)
  }
  if (pending.length > 0) throw new Error(`${where} are not up to date: await countersign.migrate(database) first`)
  if (unknown.length > 0) log.warn({ unknown }, `${where} are of a newer version`)
  return await requireCounts(database, `"${schema}".otp_session`).then(() => true).catch(unlessAway) ?? false
}
