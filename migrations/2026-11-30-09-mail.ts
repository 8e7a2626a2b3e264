import { sql, type Kysely } from 'kysely'

export async function up (db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('account')
    .addColumn('pending_email', 'text')
    .addColumn('email_stopped_at', 'timestamptz')
    .addColumn('password_links_stopped_at', 'timestamptz')
    .execute()
  await db.schema.createIndex('account_password_links_stopped').on('account')
    .column('id').where(sql.ref('password_links_stopped_at'), 'is not', null).execute()

  // A user has few links of a purpose at once: the slot is part of the key, so that two requests never make one more. No foreign
  // key: a request for a name without an account writes the same rows, for a user that does not exist.
  await db.schema.createTable('account_link')
    .addColumn('user_id', 'uuid', (c) => c.notNull())
    .addColumn('purpose', 'text', (c) => c.notNull())
    .addColumn('slot', 'integer', (c) => c.notNull())
    .addColumn('digest', 'bytea', (c) => c.notNull())
    .addColumn('email', 'text', (c) => c.notNull())
    .addColumn('version', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'timestamptz', (c) => c.notNull())
    .addColumn('expires_at', 'timestamptz', (c) => c.notNull())
    .addPrimaryKeyConstraint('account_link_pk', ['user_id', 'purpose', 'slot'])
    .execute()
  await db.schema.createIndex('account_link_digest').on('account_link').unique().column('digest').execute()
  await db.schema.createIndex('account_link_expires').on('account_link').column('expires_at').execute()

  // Messages by account and address, and by mailbox. The name is a keyed digest.
  await db.schema.createTable('account_mail_budget')
    .addColumn('name_digest', 'text', (c) => c.primaryKey())
    .addColumn('spent', 'integer', (c) => c.notNull())
    .addColumn('window_started_at', 'timestamptz', (c) => c.notNull())
    .execute()
  await db.schema.createIndex('account_mail_budget_window').on('account_mail_budget').column('window_started_at').execute()

  await db.schema.createTable('account_notice')
    .addColumn('user_id', 'uuid', (c) => c.notNull().references('account.id').onDelete('cascade'))
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('sent_at', 'timestamptz', (c) => c.notNull())
    .addColumn('delivery_id', 'uuid', (c) => c.notNull())
    .addColumn('told', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('held', 'integer', (c) => c.notNull().defaultTo(0))
    .addPrimaryKeyConstraint('account_notice_pk', ['user_id', 'kind'])
    .execute()

  // Many waiting mails must not be in the way of the webhook's deliveries.
  await db.schema.dropIndex('otp_delivery_due').execute()
  await db.schema.createIndex('otp_delivery_due').on('otp_delivery').columns(['destination', 'due_at']).execute()
}

export async function down (db: Kysely<any>): Promise<void> {
  await db.schema.dropIndex('otp_delivery_due').execute()
  await db.schema.createIndex('otp_delivery_due').on('otp_delivery').column('due_at').execute()
  // Nothing delivers these any more.
  await db.deleteFrom('otp_delivery').where('destination', '=', sql.lit('mail')).execute()
  for (const table of ['account_notice', 'account_mail_budget', 'account_link']) await db.schema.dropTable(table).execute()
  await db.schema.dropIndex('account_password_links_stopped').execute()
  for (const column of ['password_links_stopped_at', 'email_stopped_at', 'pending_email']) {
    await db.schema.alterTable('account').dropColumn(column).execute()
  }
}
