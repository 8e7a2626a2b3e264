import { sql, type Kysely } from 'kysely'

export async function up (db: Kysely<any>): Promise<void> {
  // A correct password alone had made these networks known, also for users with a second factor.
  await db.deleteFrom('account_network').execute()
  await db.schema.alterTable('account_network').addColumn('verified', 'boolean', (c) => c.notNull().defaultTo(false)).execute()
  await db.schema.createIndex('account_network_last_login').on('account_network').column('last_login_at').execute()

  // Staff search by e-mail address, regardless of the case of ASCII letters; the result is in the order of the usernames.
  await db.schema.createIndex('account_email').on('account').expression(sql`lower(email collate "C"), (username_key collate "C")`).execute()
}

export async function down (db: Kysely<unknown>): Promise<void> {
  await db.schema.dropIndex('account_email').execute()
  await db.schema.dropIndex('account_network_last_login').execute()
  await db.schema.alterTable('account_network').dropColumn('verified').execute()
}
