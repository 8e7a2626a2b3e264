import { Kysely, Migrator, type Dialect, type Migration } from 'kysely'

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
