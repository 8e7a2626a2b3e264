import { sql, type Kysely } from 'kysely'

/** Returns the name of a table with the schema that the migrator was given, which the builder writes into its own statements only. */
const tableOf = (db: Kysely<any>, name: string) => sql.raw(db.deleteFrom(name).compile().sql.slice('delete from '.length))

export async function up (db: Kysely<unknown>): Promise<void> {
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
  await sql`
    insert into ${tableOf(db, 'otp_delivery')}
      (user_id, id, event_at, event_id, destination, due_at, attempts, expires_at, created_at)
    select user_id, gen_random_uuid(), at, id, 'webhook', notify_after, notify_attempts, at + interval '1 day', at
    from ${tableOf(db, 'otp_event')} where notify_after is not null`.execute(db)
  await db.schema.createIndex('otp_delivery_due').on('otp_delivery').column('due_at').execute()
  await db.schema.dropIndex('otp_event_outbox').execute()
  for (const column of ['notify_attempts', 'notify_after']) await db.schema.alterTable('otp_event').dropColumn(column).execute()
  // Finer than by default, so that the end of the log is found in a table of a few pages too.
  await db.schema.dropIndex('otp_event_at').execute()
  await sql`create index otp_event_at on ${tableOf(db, 'otp_event')} using brin (at) with (pages_per_range = 32)`.execute(db)
}

export async function down (db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('otp_event')
    .addColumn('notify_after', 'timestamptz')
    .addColumn('notify_attempts', 'integer', (c) => c.notNull().defaultTo(0))
    .execute()
  await sql`
    update ${tableOf(db, 'otp_event')} e set notify_after = d.due_at, notify_attempts = d.attempts
    from ${tableOf(db, 'otp_delivery')} d
    where d.destination = 'webhook' and e.user_id = d.user_id and e.at = d.event_at and e.id = d.event_id`.execute(db)
  await db.schema.createIndex('otp_event_outbox').on('otp_event')
    .column('notify_after').where(sql.ref('notify_after'), 'is not', null).execute()
  await db.schema.dropTable('otp_delivery').execute()
  await db.schema.dropIndex('otp_event_at').execute()
  await db.schema.createIndex('otp_event_at').on('otp_event').using('brin').column('at').execute()
}
