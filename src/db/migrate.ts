import {
  Kysely, Migrator, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler, sql,
  type CompiledQuery, type DatabaseConnection, type Dialect, type Driver, type Migration, type QueryResult
} from 'kysely'

export interface MigrationReport { name: string, direction: 'Up' | 'Down' }

/** Our own names, so that a host that migrates with Kysely too keeps its list apart from ours. */
const NAMES = { migrationTableName: 'countersign_migration', migrationLockTableName: 'countersign_migration_lock' }

function migrator (dialect: Dialect, migrations: Record<string, Migration>, schema?: string) {
  const db = new Kysely<unknown>({ dialect })
  return new Migrator({
    db: schema === undefined ? db : db.withSchema(schema),
    provider: { getMigrations: async () => migrations },
    ...NAMES,
    ...(schema === undefined ? {} : { migrationTableSchema: schema })
  })
}

/**
 * Brings the tables up to date, in one transaction under Postgres' advisory lock: replicas that start at once wait
 * for the first, then find nothing to do. Needs a connection without a statement time-out, and a direct one: behind
 * pgbouncer in transaction mode the lock does not hold.
 *
 * @throws what the first failing migration threw; nothing is kept of it
 */
export async function migrateUp (dialect: Dialect, migrations: Record<string, Migration>, schema?: string): Promise<MigrationReport[]> {
  return report(await migrator(dialect, migrations, schema).migrateToLatest())
}

/**
 * Whether all of these, and no others, are done: for two small statements. The migrator takes the lock and looks through
 * the catalogue, only to find, at every start but the first, that there is nothing to do.
 */
export async function isMigrated (dialect: Dialect, migrations: Record<string, Migration>): Promise<boolean> {
  const db = new Kysely<unknown>({ dialect })
  const { rows: [list] } = await sql<{ oid: unknown }>`select to_regclass(${NAMES.migrationTableName}) as oid`.execute(db)
  if (list?.oid === null) return false
  const { rows } = await sql<{ name: string }>`select name from ${sql.table(NAMES.migrationTableName)}`.execute(db)
  const done = new Set(rows.map(({ name }) => name))
  return done.size === Object.keys(migrations).length && Object.keys(migrations).every((name) => done.has(name))
}

/** Takes back the newest migration. */
export async function migrateDown (dialect: Dialect, migrations: Record<string, Migration>, schema?: string): Promise<MigrationReport[]> {
  return report(await migrator(dialect, migrations, schema).migrateDown())
}

/** The names of those that are still to come. */
export async function pendingMigrations (dialect: Dialect, migrations: Record<string, Migration>, schema?: string): Promise<string[]> {
  const all = await migrator(dialect, migrations, schema).getMigrations()
  return all.filter(({ executedAt }) => executedAt === undefined).map(({ name }) => name)
}

function report ({ error, results = [] }: Awaited<ReturnType<Migrator['migrateToLatest']>>): MigrationReport[] {
  if (error !== undefined) throw error
  return results.map(({ migrationName, direction }) => ({ name: migrationName, direction }))
}

/**
 * The same as SQL, for people who run their migrations themselves: one transaction, with the entries by which
 * `migrateUp` knows later what was done.
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
    statements.push(`insert into "${schema}"."${NAMES.migrationTableName}" ("name", "timestamp") values ('${name}', to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))`)
  }
  return ['begin', ...statements, 'commit', ''].join(';\n')
}

/** A database that runs nothing and keeps what it was told. */
function recorder (statements: string[]): Dialect {
  const connection = {
    async executeQuery<Row> ({ sql }: CompiledQuery): Promise<QueryResult<Row>> {
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
