import { sql, type Kysely } from 'kysely'

export async function up (db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable('account')
    .addColumn('id', 'uuid', (c) => c.primaryKey())
    .addColumn('username', 'text', (c) => c.notNull())
    .addColumn('username_key', 'text', (c) => c.notNull().unique())
    .addColumn('password_hash', 'text', (c) => c.notNull())
    .addColumn('is_active', 'boolean', (c) => c.notNull())
    .addColumn('is_staff', 'boolean', (c) => c.notNull())
    .addColumn('email', 'text', (c) => c.notNull())
    .addColumn('phone', 'text', (c) => c.notNull())
    .addColumn('first_name', 'text', (c) => c.notNull())
    .addColumn('last_name', 'text', (c) => c.notNull())
    .addColumn('power_account_id', 'integer')
    .addColumn('power_contact_id', 'integer')
    .addColumn('created_at', 'timestamptz', (c) => c.notNull())
    .addColumn('updated_at', 'timestamptz', (c) => c.notNull())
    .execute()

  // Byte order, whatever the database's language: names by how they begin, in their order.
  await db.schema.createIndex('account_username_prefix').on('account').expression(sql`username_key collate "C"`).execute()

  await db.schema.createTable('account_oauth_profile')
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('id', 'uuid', (c) => c.notNull())
    .addColumn('service_name', 'text', (c) => c.notNull())
    .addColumn('url', 'text', (c) => c.notNull())
    .addColumn('credentials', 'text', (c) => c.notNull())
    .addColumn('created_at', 'timestamptz', (c) => c.notNull())
    .addPrimaryKeyConstraint('account_oauth_profile_pk', ['user_id', 'id'])
    .execute()

  await db.schema.createTable('account_policy')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('value', 'text', (c) => c.notNull())
    .addColumn('since', 'timestamptz', (c) => c.notNull())
    .execute()

  // Outlives the account: somebody who deleted theirs is not brought over again.
  await db.schema.createTable('account_import')
    .addColumn('django_id', 'bigint', (c) => c.primaryKey())
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('fingerprint', 'text', (c) => c.notNull())
    .addColumn('imported_at', 'timestamptz', (c) => c.notNull())
    .execute()

  await db.schema.createTable('account_network')
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('network', 'text', (c) => c.notNull())
    .addColumn('last_login_at', 'timestamptz', (c) => c.notNull())
    .addPrimaryKeyConstraint('account_network_pk', ['user_id', 'network'])
    .execute()

  await db.schema.createTable('password_budget')
    .addColumn('name_digest', 'text', (c) => c.notNull())
    .addColumn('network', 'text', (c) => c.notNull())
    .addColumn('window_started_at', 'timestamptz', (c) => c.notNull())
    .addColumn('spent', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('password_budget_pk', ['name_digest', 'network'])
    .execute()
  await db.schema.createIndex('password_budget_window').on('password_budget').column('window_started_at').execute()
}

export async function down (db: Kysely<unknown>): Promise<void> {
  for (const table of ['password_budget', 'account_network', 'account_import', 'account_policy', 'account_oauth_profile', 'account']) {
    await db.schema.dropTable(table).execute()
  }
}
