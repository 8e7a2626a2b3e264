import { sql } from 'kysely'
import { row, type Db } from './db.js'

/** Identity of the tables that a connection leads to. */
export interface DatabaseIdentity {
  /** The same for every connection to one database, under any host name. */
  database: string
  schema: string
  /** The database's name, for messages. */
  name: string
}

/** @param schema schema of the tables. @default the first one of the search path */
export async function readIdentity (db: Db, schema?: string): Promise<DatabaseIdentity> {
  const ask = async (system: string) => (await row<DatabaseIdentity>(db, sql`
    select ${sql.raw(system)} || '/' || oid::text as database,
      coalesce(${schema ?? null}::text, current_schema(), '') as schema, datname::text as name
    from pg_database where datname = current_database()`))!
  // If the server does not give its system identifier, the name of the database is used.
  return await ask('(select system_identifier::text from pg_control_system())').catch(async (error: unknown) => {
    if (!['42501', '42883'].includes(String((error as { code?: unknown }).code))) throw error
    return await ask("datname::text || '/'")
  })
}
