import { sql, type Kysely } from 'kysely'

export async function up (db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('otp_user').addColumn('passkey_handle', 'bytea').execute()
  await db.schema.createTable('otp_passkey')
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('device_id', 'uuid', (c) => c.notNull())
    .addColumn('rp_id', 'text', (c) => c.notNull())
    .addColumn('credential_id', 'bytea', (c) => c.notNull())
    .addColumn('public_key', 'bytea', (c) => c.notNull())
    .addColumn('algorithm', 'integer', (c) => c.notNull())
    .addColumn('sign_count', 'bigint', (c) => c.notNull())
    .addColumn('transports', sql`text[]`, (c) => c.notNull())
    .addColumn('aaguid', 'uuid', (c) => c.notNull())
    .addColumn('backup_eligible', 'boolean', (c) => c.notNull())
    .addColumn('backed_up', 'boolean', (c) => c.notNull())
    .addColumn('last_used_at', 'timestamptz')
    .addPrimaryKeyConstraint('otp_passkey_pk', ['user_id', 'device_id'])
    // However a factor is deleted, its key is deleted with it.
    .addForeignKeyConstraint('otp_passkey_device', ['user_id', 'device_id'], 'otp_device', ['user_id', 'id'],
      (c) => c.onDelete('cascade'))
    .execute()
  // WebAuthn L3 §7.1 step 27: nobody else may have registered the credential. An id can be longer than an index entry may be.
  await db.schema.createIndex('otp_passkey_credential').on('otp_passkey').unique().expression(sql`sha256(credential_id)`).execute()
}

/** Passkeys are lost, and with them their rows in `otp_device`. */
export async function down (db: Kysely<any>): Promise<void> {
  await db.deleteFrom('otp_device').where('kind', '=', sql.lit('passkey')).execute()
  await db.schema.dropTable('otp_passkey').execute()
  await db.schema.alterTable('otp_user').dropColumn('passkey_handle').execute()
}
