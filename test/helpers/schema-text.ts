import { generate, PostgresDialect } from 'kysely-codegen'
import { Kysely, sql } from 'kysely'
import { serviceMigrations } from '../../migrations/index.js'
import { openEmbedded } from '../../src/postgres/embedded/pglite.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { columns } from '../../src/tables/columns.js'

/** Returns the text of `src/tables/schema.ts` for the tables that the migrations make, with the notes of `src/tables/columns.ts`. */
export async function schemaText (): Promise<string> {
  const pool = await openEmbedded('memory://')
  try {
    await migrateUp(pool.dialect, serviceMigrations)
    const db = new Kysely<unknown>({ dialect: pool.dialect })
    for (const [table, notes] of Object.entries(columns)) {
      for (const [column, note] of Object.entries(notes)) {
        await sql`comment on column ${sql.id(table, column)} is ${sql.lit(note)}`.execute(db)
      }
    }
    const dialect = new PostgresDialect({ partitions: true })
    return await generate({ db: db as never, dialect, excludePattern: '{countersign_*,otp_event_before}', outFile: null })
  } finally {
    await pool.close()
  }
}
