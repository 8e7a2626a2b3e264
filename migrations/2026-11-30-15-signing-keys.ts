import type { Kysely } from 'kysely'

export async function up (db: Kysely<any>): Promise<void> {
  // When a process published a public key first. A new key signs some time later.
  await db.schema.createTable('signing_key')
    .addColumn('fingerprint', 'text', (c) => c.primaryKey())
    .addColumn('published_at', 'timestamptz', (c) => c.notNull())
    .execute()
}

export async function down (db: Kysely<any>): Promise<void> {
  await db.schema.dropTable('signing_key').execute()
}
