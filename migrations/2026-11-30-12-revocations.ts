import { sql, type Kysely } from 'kysely'

export async function up (db: Kysely<any>): Promise<void> {
  // Marks: every session with a proof from before `ended_before` has ended, of one user or (with an empty `user_id`) of all.
  await db.schema.createTable('otp_revocation')
    .addColumn('user_id', 'text', (c) => c.primaryKey())
    .addColumn('ended_before', 'timestamptz', (c) => c.notNull())
    .execute()
  await db.schema.createIndex('otp_revocation_at').on('otp_revocation').column('ended_before').execute()
  // Marks of forgotten users were digests without a session.
  await db.insertInto('otp_revocation').columns(['user_id', 'ended_before'])
    .expression(db.selectFrom('otp_ended_session').select(['user_id', 'ended_at']).where('digest', '=', sql.lit(''))).execute()
  await db.deleteFrom('otp_ended_session').where('digest', '=', sql.lit('')).execute()
}

/** Keeps the marks of forgotten users. A mark of all is lost: sessions that it ended, and that have not expired, live again. */
export async function down (db: Kysely<any>): Promise<void> {
  await db.insertInto('otp_ended_session').columns(['user_id', 'digest', 'ended_at'])
    .expression(db.selectFrom('otp_revocation').select(['user_id', sql`''::bytea`.as('digest'), 'ended_before'])
      .where('user_id', '<>', sql.lit('')))
    .execute()
  await db.schema.dropTable('otp_revocation').execute()
}
