import { sql, type Kysely } from 'kysely'

export async function up (db: Kysely<unknown>): Promise<void> {
  // A right password alone had made these networks known, also to users with a second factor.
  await sql`delete from ${sql.table('account_network')}`.execute(db)
  await db.schema.alterTable('account_network').addColumn('verified', 'boolean', (c) => c.notNull().defaultTo(false)).execute()
  await db.schema.createIndex('account_network_last_login').on('account_network').column('last_login_at').execute()

  // Staff look for an e-mail address, whatever the case of its ASCII letters: the users who have it, in the order of their names.
  await db.schema.createIndex('account_email').on('account').expression(sql`lower(email collate "C"), (username_key collate "C")`).execute()
}

export async function down (db: Kysely<unknown>): Promise<void> {
  await db.schema.dropIndex('account_email').execute()
  await db.schema.dropIndex('account_network_last_login').execute()
  await db.schema.alterTable('account_network').dropColumn('verified').execute()
}
