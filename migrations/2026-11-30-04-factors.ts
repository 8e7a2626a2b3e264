import { sql, type Kysely } from 'kysely'

/** Columns that only an authenticator app needs. */
const OF_TOTP = ['secret', 'digits', 'period_seconds', 't0_seconds', 'last_step', 'last_used_at'] as const

export async function up (db: Kysely<any>): Promise<void> {
  // A factor of any kind has a row in `otp_device`; what a kind needs beside it has a table of its own.
  await db.schema.alterTable('otp_device').addColumn('kind', 'text', (c) => c.notNull().defaultTo('totp')).execute()
  await db.schema.createTable('otp_totp')
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('device_id', 'uuid', (c) => c.notNull())
    .addColumn('secret', 'text', (c) => c.notNull())
    .addColumn('algorithm', 'text', (c) => c.notNull().defaultTo('SHA1'))
    .addColumn('digits', 'integer', (c) => c.notNull())
    .addColumn('period_seconds', 'integer', (c) => c.notNull())
    .addColumn('t0_seconds', 'integer', (c) => c.notNull())
    .addColumn('last_step', 'integer', (c) => c.notNull())
    .addColumn('last_used_at', 'timestamptz')
    .addPrimaryKeyConstraint('otp_totp_pk', ['user_id', 'device_id'])
    // However a factor is deleted, its secret is deleted with it.
    .addForeignKeyConstraint('otp_totp_device', ['user_id', 'device_id'], 'otp_device', ['user_id', 'id'], (c) => c.onDelete('cascade'))
    .execute()
  await db.insertInto('otp_totp').columns(['user_id', 'device_id', ...OF_TOTP])
    .expression(db.selectFrom('otp_device').select(['user_id', 'id', ...OF_TOTP])).execute()
  for (const column of OF_TOTP) await db.schema.alterTable('otp_device').dropColumn(column).execute()

  // One outstanding challenge for each session and purpose, and how many were issued since `window_started_at`.
  await db.schema.createTable('otp_challenge')
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('session_id', 'text', (c) => c.notNull())
    .addColumn('purpose', 'text', (c) => c.notNull())
    .addColumn('challenge', 'bytea', (c) => c.notNull())
    .addColumn('device_id', 'uuid')
    .addColumn('expires_at', 'timestamptz', (c) => c.notNull())
    .addColumn('created_at', 'timestamptz', (c) => c.notNull())
    .addColumn('window_started_at', 'timestamptz', (c) => c.notNull())
    .addColumn('issued', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('otp_challenge_pk', ['user_id', 'session_id', 'purpose'])
    .execute()

  // Factors whose proofs a session has, and the time of the last phishing-resistant one.
  await db.schema.alterTable('otp_session')
    .addColumn('otp_factor_ids', sql`text[]`, (c) => c.notNull().defaultTo('{}'))
    .addColumn('phr_at', 'timestamptz')
    .execute()
  await db.updateTable('otp_session').set({ otp_factor_ids: sql`array[otp_device_id]` })
    .where('ended_at', 'is', null).where('otp_device_id', '<>', sql.lit('recovery')).execute()
}

/** Puts the factors back as they were. Factors of other kinds are lost. */
export async function down (db: Kysely<any>): Promise<void> {
  await db.schema.alterTable('otp_session').dropColumn('phr_at').dropColumn('otp_factor_ids').execute()
  await db.schema.dropTable('otp_challenge').execute()

  await db.deleteFrom('otp_device').where('kind', '<>', 'totp').execute()
  await db.schema.alterTable('otp_device')
    .addColumn('secret', 'text')
    .addColumn('digits', 'integer')
    .addColumn('period_seconds', 'integer')
    .addColumn('t0_seconds', 'integer')
    .addColumn('last_step', 'integer')
    .addColumn('last_used_at', 'timestamptz')
    .execute()
  await db.updateTable('otp_device as d').from('otp_totp as f')
    .set((eb) => Object.fromEntries(OF_TOTP.map((column) => [column, eb.ref(`f.${column}`)])))
    .whereRef('f.user_id', '=', 'd.user_id').whereRef('f.device_id', '=', 'd.id').execute()
  for (const column of OF_TOTP.filter((name) => name !== 'last_used_at')) {
    await db.schema.alterTable('otp_device').alterColumn(column, (c) => c.setNotNull()).execute()
  }
  await db.schema.dropTable('otp_totp').execute()
  await db.schema.alterTable('otp_device').dropColumn('kind').execute()
}
