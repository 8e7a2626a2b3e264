import { sql, type Kysely } from 'kysely'

export async function up (db: Kysely<unknown>): Promise<void> {
  // Challenges are counted for the session, over both purposes: how many were issued since `challenges_since`.
  await db.schema.alterTable('otp_session')
    .addColumn('challenges', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('challenges_since', 'timestamptz')
    .execute()
  await db.schema.alterTable('otp_challenge').dropColumn('window_started_at').dropColumn('issued').execute()
}

export async function down (db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('otp_challenge')
    .addColumn('window_started_at', 'timestamptz', (c) => c.notNull().defaultTo(sql`now()`))
    .addColumn('issued', 'integer', (c) => c.notNull().defaultTo(0))
    .execute()
  for (const column of ['window_started_at', 'issued']) {
    await db.schema.alterTable('otp_challenge').alterColumn(column, (c) => c.dropDefault()).execute()
  }
  await db.schema.alterTable('otp_session').dropColumn('challenges_since').dropColumn('challenges').execute()
}
