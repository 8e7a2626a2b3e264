import { sql, type Kysely } from 'kysely'

export async function up (db: Kysely<unknown>): Promise<void> {
  // Users may come from several systems: the key is the system and the id there.
  await db.schema.alterTable('account_import').addColumn('source', 'text', (c) => c.notNull().defaultTo('django')).execute()
  await db.schema.alterTable('account_import').alterColumn('source', (c) => c.dropDefault()).execute()
  await db.schema.alterTable('account_import').dropConstraint('account_import_pkey').execute()
  await db.schema.alterTable('account_import').renameColumn('django_id', 'external_id').execute()
  await db.schema.alterTable('account_import').alterColumn('external_id', (c) => c.setDataType('text')).execute()
  await db.schema.alterTable('account_import').addPrimaryKeyConstraint('account_import_pk', ['source', 'external_id']).execute()

  await db.schema.alterTable('account').addColumn('email_verified_at', 'timestamptz').addColumn('locale', 'text').execute()
}

/** Puts the tables back as they were. Imports from other systems than Django are lost. */
export async function down (db: Kysely<any>): Promise<void> {
  await db.schema.alterTable('account').dropColumn('locale').dropColumn('email_verified_at').execute()

  await db.deleteFrom('account_import').where('source', '<>', sql.lit('django')).execute()
  await db.schema.alterTable('account_import').dropConstraint('account_import_pk').execute()
  await db.schema.alterTable('account_import')
    .alterColumn('external_id', (c) => c.setDataType(sql`bigint using external_id::bigint`)).execute()
  await db.schema.alterTable('account_import').renameColumn('external_id', 'django_id').execute()
  await db.schema.alterTable('account_import').addPrimaryKeyConstraint('account_import_pkey', ['django_id']).execute()
  await db.schema.alterTable('account_import').dropColumn('source').execute()
}
