import { sql, type Kysely } from 'kysely'

/** A mark of a user gets a place in the order in which revocations are read. Marks from before, and that of all, have none. */
export async function up (db: Kysely<any>): Promise<void> {
  await db.schema.alterTable('otp_revocation').addColumn('ended_xid', sql.raw('xid8')).execute()
  await db.schema.createIndex('otp_revocation_ends').on('otp_revocation')
    .column('ended_xid').where(sql.ref('ended_xid'), 'is not', null).execute()
}

export async function down (db: Kysely<any>): Promise<void> {
  await db.schema.alterTable('otp_revocation').dropColumn('ended_xid').execute()
}
