import { sql, type Kysely } from 'kysely'

/** Returns the name of a table with the schema that the migrator was given, which the builder writes into its own statements only. */
const tableOf = (db: Kysely<any>, name: string) => sql.raw(db.deleteFrom(name).compile().sql.slice('delete from '.length))

export async function up (db: Kysely<any>): Promise<void> {
  // The outbox: one row for each event and destination. A message without an event has its text here.
  await db.schema.createTable('otp_delivery')
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('id', 'uuid', (c) => c.notNull())
    .addColumn('event_at', 'timestamptz')
    .addColumn('event_id', 'uuid')
    .addColumn('destination', 'text', (c) => c.notNull())
    .addColumn('due_at', 'timestamptz', (c) => c.notNull())
    .addColumn('attempts', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('expires_at', 'timestamptz')
    .addColumn('payload', 'text')
    .addColumn('created_at', 'timestamptz', (c) => c.notNull())
    .addPrimaryKeyConstraint('otp_delivery_pk', ['user_id', 'id'])
    .execute()
  await db.insertInto('otp_delivery')
    .columns(['user_id', 'id', 'event_at', 'event_id', 'destination', 'due_at', 'attempts', 'expires_at', 'created_at'])
    .expression(db.selectFrom('otp_event').select((eb) => [
      'user_id', eb.fn('gen_random_uuid').as('delivery_id'), 'at', 'id', sql.lit('webhook').as('destination'), 'notify_after',
      'notify_attempts', eb('at', '+', sql.raw("interval '1 day'")).as('expires_at'), 'at as created_at'
    ]).where('notify_after', 'is not', null)).execute()
  await db.schema.createIndex('otp_delivery_due').on('otp_delivery').column('due_at').execute()
  await db.schema.dropIndex('otp_event_outbox').execute()
  for (const column of ['notify_attempts', 'notify_after']) await db.schema.alterTable('otp_event').dropColumn(column).execute()
  // Finer than by default, so that the end of the log is found in a table of a few pages too.
  await db.schema.dropIndex('otp_event_at').execute()
  await sql`create index otp_event_at on ${tableOf(db, 'otp_event')} using brin (at) with (pages_per_range = 32)`.execute(db)
}

export async function down (db: Kysely<any>): Promise<void> {
  await db.schema.alterTable('otp_event')
    .addColumn('notify_after', 'timestamptz')
    .addColumn('notify_attempts', 'integer', (c) => c.notNull().defaultTo(0))
    .execute()
  await db.updateTable('otp_event as e').from('otp_delivery as d')
    .set((eb) => ({ notify_after: eb.ref('d.due_at'), notify_attempts: eb.ref('d.attempts') }))
    .where('d.destination', '=', sql.lit('webhook')).whereRef('e.user_id', '=', 'd.user_id').whereRef('e.at', '=', 'd.event_at')
    .whereRef('e.id', '=', 'd.event_id').execute()
  await db.schema.createIndex('otp_event_outbox').on('otp_event')
    .column('notify_after').where(sql.ref('notify_after'), 'is not', null).execute()
  await db.schema.dropTable('otp_delivery').execute()
  await db.schema.dropIndex('otp_event_at').execute()
  await db.schema.createIndex('otp_event_at').on('otp_event').using('brin').column('at').execute()
}
