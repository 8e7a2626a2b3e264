import { sql, type Kysely } from 'kysely'

export async function up (db: Kysely<any>): Promise<void> {
  // Imported weak codes whose digest is still a fast one; the service replaces it by a slow one.
  await db.schema.alterTable('otp_recovery_code').addColumn('fast', 'boolean', (c) => c.notNull().defaultTo(false)).execute()
  await db.updateTable('otp_recovery_code').set({ fast: sql.lit(true) }).where('weak', '=', sql.lit(true)).execute()
  await db.schema.createIndex('otp_recovery_code_fast').on('otp_recovery_code')
    .column('user_id').where(sql.ref('fast'), '=', sql.lit(true)).execute()
}

export async function down (db: Kysely<any>): Promise<void> {
  await db.schema.dropIndex('otp_recovery_code_fast').execute()
  await db.schema.alterTable('otp_recovery_code').dropColumn('fast').execute()
}
