import { readVariable } from '../config/environment.js'
import { serversFault } from '../postgres/connect.js'
import { isSchema, migrate, migrationSql, SCHEMA_RULE, tablesVersion } from '../attach/tables.js'
import { upToDate } from '../postgres/migrator.js'
import { CommandError, MisuseError, type Io } from './io.js'

/*
 * The commands of `countersign tables`, for the deployments of a host: they manage the tables in the host's database.
 */

export interface TablesOptions { schema: string }

export async function tablesUpCommand (io: Io, env: NodeJS.ProcessEnv, tables: TablesOptions): Promise<void> {
  requireSchema(tables)
  const databaseUrl = databaseUrlOf(env)
  const done = await migrate(databaseUrl, tables)
  const { unknown } = await tablesVersion(databaseUrl, tables)
  io.print({ done, unknown }, done.length === 0 ? [upToDate(unknown)] : done.map((name) => `up: ${name}`))
}

/** Exits with 1 while migrations are pending. */
export async function tablesStatusCommand (io: Io, env: NodeJS.ProcessEnv, tables: TablesOptions): Promise<number> {
  requireSchema(tables)
  const { version, pending, unknown } = await tablesVersion(databaseUrlOf(env), tables)
  io.print({ version, pending, unknown }, [
    `at: ${version ?? 'nothing'}`,
    ...pending.map((name) => `to do: ${name}`),
    ...unknown.map((name) => `of a newer version: ${name}`)
  ])
  return pending.length === 0 ? 0 : 1
}

export async function tablesSqlCommand (io: Io, tables: TablesOptions): Promise<void> {
  requireSchema(tables)
  const sql = await migrationSql(tables)
  io.print({ sql }, [sql])
}

/** @throws {MisuseError} */
function requireSchema ({ schema }: TablesOptions): void {
  if (!isSchema(schema)) throw new MisuseError(`--schema ${SCHEMA_RULE}.`)
}

function databaseUrlOf (env: NodeJS.ProcessEnv): string {
  const databaseUrl = readVariable(env, 'DATABASE_URL', true)
  const fault = serversFault(databaseUrl)
  if (fault !== undefined) throw new CommandError(`DATABASE_URL must ${fault}.`)
  return databaseUrl
}
