import type { Kysely } from 'kysely'

export async function up (db: Kysely<any>): Promise<void> {
  // Authenticator apps of other systems may have a short secret, or a secret whose text has two readings.
  await db.schema.alterTable('otp_totp')
    .addColumn('weak', 'boolean', (c) => c.notNull().defaultTo(false))
    .addColumn('other_secret', 'text')
    .addColumn('other_secret_until', 'timestamptz')
    .execute()
  // The digests of a user's recovery codes are made under a key of that user alone. Those that are here already are not.
  await db.schema.alterTable('otp_recovery_code')
    .addColumn('form', 'text', (c) => c.notNull().defaultTo('deployment'))
    .addColumn('origin', 'text')
    .execute()
  await db.schema.alterTable('otp_recovery_code').alterColumn('form', (c) => c.setDefault('own')).execute()
}

/** Recovery codes that came with a key of their own, or were made since, open nothing afterwards. */
export async function down (db: Kysely<any>): Promise<void> {
  await db.schema.alterTable('otp_recovery_code').dropColumn('origin').dropColumn('form').execute()
  await db.schema.alterTable('otp_totp').dropColumn('other_secret_until').dropColumn('other_secret').dropColumn('weak').execute()
}
