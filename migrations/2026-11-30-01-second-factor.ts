import type { Kysely } from 'kysely'

export async function up (db: Kysely<unknown>): Promise<void> {
  // Events that a user can cause at will: numbered by user and kind, and counted in one line past sixty an hour.
  await db.schema.alterTable('otp_event').addColumn('count', 'integer').execute()
  await db.schema.createTable('otp_event_counter')
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('since', 'timestamptz', (c) => c.notNull())
    .addColumn('events', 'integer', (c) => c.notNull())
    .addColumn('line_at', 'timestamptz')
    .addColumn('line_id', 'uuid', (c) => c.notNull())
    .addPrimaryKeyConstraint('otp_event_counter_pk', ['user_id', 'kind'])
    .execute()
}

export async function down (db: Kysely<unknown>): Promise<void> {
  await db.schema.dropTable('otp_event_counter').execute()
  await db.schema.alterTable('otp_event').dropColumn('count').execute()
}
