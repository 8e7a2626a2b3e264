import {
  Kysely, Migrator, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler, sql,
  type CompiledQuery, type DatabaseConnection, type Dialect, type Driver, type Migration, type QueryResult
} from 'kysely'
import { asUnusable, UnusableDatabaseError } from './unusable.js'

export interface MigrationReport { name: string, direction: 'Up' | 'Down' }

/** Names of our own, so that a host with Kysely migrations keeps its list separate from ours. */
const NAMES = { migrationTableName: 'countersign_migration', migrationLockTableName: 'countersign_migration_lock' } as const

interface MigrationList { countersign_migration: { name: string } }

/** Migrations of a database, compared with the migrations of this version. */
export interface MigrationState {
  /** Not run yet. */
  pending: string[]
  /** Run by a newer version and unknown to this one. */
  unknown: string[]
}

/** Returns whether no migration was ever done. */
export function isEmpty ({ pending, unknown }: MigrationState, migrations: Record<string, Migration>): boolean {
  return unknown.length === 0 && pending.length === Object.keys(migrations).length
}

/** Returns the line for tables without pending migrations: of this version, or of a newer one. */
export function upToDate (unknown: readonly string[]): string {
  return unknown.length === 0 ? 'The tables are up to date.' : `The tables are up to date, and of a newer version: ${unknown.join(', ')}.`
}

function migrator (dialect: Dialect, migrations: Record<string, Migration>, schema: string) {
  return new Migrator({
    db: new Kysely<unknown>({ dialect }).withSchema(schema),
    provider: { getMigrations: async () => migrations },
    ...NAMES,
    migrationTableSchema: schema
  })
}

/**
 * Returns the schema in which the connection finds the tables, or would create them. The migrator always gets it by name:
 * otherwise it would find the list of an attached host in another schema of the same database.
 *
 * @throws {UnusableDatabaseError} if the search path names none
 */
async function schemaByPath (dialect: Dialect): Promise<string> {
  const { rows: [found] } = await sql<{ schema: string | null }>`
    select coalesce(
      (select nspname from pg_class c join pg_namespace n on n.oid = relnamespace where c.oid = to_regclass(${NAMES.migrationTableName})),
      current_schema())::text as schema`.execute(new Kysely<unknown>({ dialect }))
  if (found?.schema == null) throw new UnusableDatabaseError('The search_path of the role or the database names no schema that exists.')
  return found.schema
}

/** Reads the state in two small statements. The migrator would take the lock and read the catalogue at every start. */
export async function readMigrations (dialect: Dialect, migrations: Record<string, Migration>, schema?: string): Promise<MigrationState> {
  const plain = new Kysely<MigrationList>({ dialect })
  const db = schema === undefined ? plain : plain.withSchema(schema)
  const name = schema === undefined ? NAMES.migrationTableName : `"${schema}".${NAMES.migrationTableName}`
  const found = await plain.selectNoFrom((eb) => eb(eb.fn('to_regclass', [eb.val(name)]), 'is not', null).as('isThere')).executeTakeFirst()
  const rows = found?.isThere === true
    ? await db.selectFrom(NAMES.migrationTableName).select('name').orderBy('name').execute()
    : []
  const done = rows.map(({ name }) => name)
  return {
    pending: Object.keys(migrations).filter((name) => !done.includes(name)),
    unknown: done.filter((name) => !Object.hasOwn(migrations, name))
  }
}

/**
 * Brings the tables up to date, in one transaction under PostgreSQL's advisory lock: replicas that start at the same time wait
 * for the first one, then have nothing to do. Needs a connection without a statement time-out, and a direct one: behind
 * pgbouncer in transaction mode the lock does not hold. Tables of a newer version stay unchanged.
 *
 * @throws {UnusableDatabaseError} if the database has unknown migrations and this version has pending ones
 * @throws the error of the first failing migration, after a rollback
 */
export async function migrateUp (dialect: Dialect, migrations: Record<string, Migration>, schema?: string): Promise<MigrationReport[]> {
  if (await hasNothingToDo(dialect, migrations, schema)) return []
  const { error, results } = await migrator(dialect, migrations, schema ?? await schemaByPath(dialect)).migrateToLatest()
  if (error === undefined) return report(results)
  // A newer version may have run all of them while this process waited for the lock.
  if (await hasNothingToDo(dialect, migrations, schema)) return []
  throw asUnusable(error)
}

async function hasNothingToDo (dialect: Dialect, migrations: Record<string, Migration>, schema: string | undefined): Promise<boolean> {
  const { pending, unknown } = await readMigrations(dialect, migrations, schema)
  if (pending.length === 0) return true
  if (unknown.length > 0) {
    throw new UnusableDatabaseError(
      `The tables are of another version: they have ${unknown.join(', ')}, which this version does not know, ` +
      `and lack ${pending.join(', ')}. ` +
      'Use a version that knows all of them, or take back the unknown ones with the version that made them.')
  }
  return false
}

/**
 * Reverts the newest migration.
 *
 * @throws {UnusableDatabaseError} if this version does not know it
 */
export async function migrateDown (dialect: Dialect, migrations: Record<string, Migration>, schema?: string): Promise<MigrationReport[]> {
  const state = await readMigrations(dialect, migrations, schema)
  // The migrator would make its own tables first.
  if (isEmpty(state, migrations)) return []
  const { unknown } = state
  if (unknown.length > 0) {
    throw new UnusableDatabaseError(`This version does not know ${unknown.join(', ')}: take back with the version that made the tables so.`)
  }
  const { error, results } = await migrator(dialect, migrations, schema ?? await schemaByPath(dialect)).migrateDown()
  if (error !== undefined) throw asUnusable(error)
  return report(results)
}

function report (results: Awaited<ReturnType<Migrator['migrateToLatest']>>['results'] = []): MigrationReport[] {
  return results.map(({ migrationName, direction }) => ({ name: migrationName, direction }))
}

/**
 * Returns the migrations as SQL, for operators with migration tools of their own: one transaction, with the entries that
 * `migrateUp` reads later.
 */
export async function migrationScript (migrations: Record<string, Migration>, schema: string): Promise<string> {
  const statements: string[] = []
  const db = new Kysely<unknown>({ dialect: recorder(statements) }).withSchema(schema)
  await db.schema.createSchema(schema).ifNotExists().execute()
  await db.schema.createTable(NAMES.migrationTableName)
    .addColumn('name', 'varchar(255)', (c) => c.notNull().primaryKey())
    .addColumn('timestamp', 'varchar(255)', (c) => c.notNull())
    .execute()
  await db.schema.createTable(NAMES.migrationLockTableName)
    .addColumn('id', 'varchar(255)', (c) => c.notNull().primaryKey())
    .addColumn('is_locked', 'integer', (c) => c.notNull().defaultTo(0))
    .execute()
  statements.push(`insert into "${schema}"."${NAMES.migrationLockTableName}" ("id", "is_locked") values ('migration_lock', 0)`)
  for (const [name, { up }] of Object.entries(migrations)) {
    await up(db)
    statements.push(`insert into "${schema}"."${NAMES.migrationTableName}" ("name", "timestamp") ` +
      `values ('${name}', to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))`)
  }
  return ['begin', ...statements, 'commit', ''].join(';\n')
}

/** Returns a dialect that runs no statement and records each one. */
function recorder (statements: string[]): Dialect {
  const connection = {
    async executeQuery<Row> ({ sql, parameters }: CompiledQuery): Promise<QueryResult<Row>> {
      if (parameters.length > 0) throw new Error(`A migration needs literal values (sql.lit): ${sql}`)
      statements.push(sql)
      return { rows: [] }
    }
  } as DatabaseConnection
  const nothing = async () => {}
  const driver: Driver = {
    init: nothing,
    acquireConnection: async () => connection,
    beginTransaction: nothing,
    commitTransaction: nothing,
    rollbackTransaction: nothing,
    releaseConnection: nothing,
    destroy: nothing
  }
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => driver,
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler()
  }
}
