import { sql, type Kysely } from 'kysely'

export async function up (db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable('otp_user')
    .addColumn('user_id', 'text', (c) => c.primaryKey())
    .addColumn('version', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('failures', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('locked_until', 'timestamptz')
    .addColumn('setup_required', 'boolean', (c) => c.notNull().defaultTo(false))
    .addColumn('setup_digest', 'text')
    .addColumn('setup_expires_at', 'timestamptz')
    .execute()

  await db.schema.createTable('otp_device')
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('id', 'uuid', (c) => c.notNull())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('secret', 'text', (c) => c.notNull())
    .addColumn('digits', 'integer', (c) => c.notNull())
    .addColumn('period_seconds', 'integer', (c) => c.notNull())
    .addColumn('t0_seconds', 'integer', (c) => c.notNull())
    .addColumn('last_step', 'integer', (c) => c.notNull())
    .addColumn('created_at', 'timestamptz', (c) => c.notNull())
    .addColumn('confirmed_at', 'timestamptz')
    .addColumn('last_used_at', 'timestamptz')
    .addColumn('session_id', 'text')
    .addColumn('expires_at', 'timestamptz')
    .addColumn('failures', 'integer', (c) => c.notNull().defaultTo(0))
    .addPrimaryKeyConstraint('otp_device_pk', ['user_id', 'id'])
    .execute()
  // One pending device per session: ten calls at once leave one.
  await db.schema.createIndex('otp_device_pending').unique().on('otp_device')
    .columns(['user_id', 'session_id']).where(sql.ref('confirmed_at'), 'is', null).execute()

  await db.schema.createIndex('otp_device_abandoned').on('otp_device')
    .column('expires_at').where(sql.ref('confirmed_at'), 'is', null).execute()

  await db.schema.createTable('otp_recovery_code')
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('digest', 'text', (c) => c.notNull())
    .addColumn('pending_device_id', 'uuid')
    .addColumn('created_at', 'timestamptz', (c) => c.notNull())
    .addColumn('used_at', 'timestamptz')
    .addColumn('weak', 'boolean', (c) => c.notNull().defaultTo(false))
    .addPrimaryKeyConstraint('otp_recovery_code_pk', ['user_id', 'digest'])
    .execute()

  await db.schema.createTable('otp_session')
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('id', 'text', (c) => c.notNull())
    .addColumn('started_at', 'timestamptz', (c) => c.notNull())
    .addColumn('expires_at', 'timestamptz', (c) => c.notNull())
    .addColumn('auth_at', 'timestamptz', (c) => c.notNull())
    .addColumn('amr', sql`text[]`, (c) => c.notNull())
    .addColumn('otp_required', 'boolean', (c) => c.notNull())
    .addColumn('otp_device_id', 'text')
    .addColumn('otp_at', 'timestamptz')
    .addColumn('otp_deadline', 'timestamptz')
    .addColumn('generation', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('rotated_at', 'timestamptz', (c) => c.notNull())
    .addColumn('failures', 'integer', (c) => c.notNull().defaultTo(0))
    .addColumn('ended_at', 'timestamptz')
    .addColumn('ended_xid', sql`xid8`)
    .addColumn('end_reason', 'text')
    .addColumn('ip', 'text', (c) => c.notNull())
    .addColumn('agent', 'text', (c) => c.notNull())
    .addPrimaryKeyConstraint('otp_session_pk', ['user_id', 'id'])
    .execute()
  // The feed of ends: read from a transaction on, by every replica, a few times a second.
  await db.schema.createIndex('otp_session_ends').on('otp_session')
    .column('ended_xid').where(sql.ref('ended_xid'), 'is not', null).execute()

  await db.schema.createIndex('otp_session_over').on('otp_session')
    .expression(sql`coalesce(ended_at, expires_at)`).execute()

  // A user's sessions that have not ended, for whatever ends or lists them all: those that have stay for a week.
  await db.schema.createIndex('otp_session_living').on('otp_session')
    .column('user_id').where(sql.ref('ended_at'), 'is', null).execute()

  await db.schema.createTable('otp_event')
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('at', 'timestamptz', (c) => c.notNull())
    .addColumn('id', 'uuid', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('session_id', 'text')
    .addColumn('ip', 'text', (c) => c.notNull())
    .addColumn('agent', 'text', (c) => c.notNull())
    .addColumn('device_name', 'text')
    .addColumn('actor_id', 'text')
    .addColumn('detail', 'text')
    .addColumn('notify_after', 'timestamptz')
    .addColumn('notify_attempts', 'integer', (c) => c.notNull().defaultTo(0))
    .addPrimaryKeyConstraint('otp_event_pk', ['user_id', 'at', 'id'])
    .execute()

  // Events come in order of time: a few pages of summary find the old ones.
  await db.schema.createIndex('otp_event_at').on('otp_event').using('brin').column('at').execute()

  // The outbox: events that somebody outside has yet to be told of.
  await db.schema.createIndex('otp_event_outbox').on('otp_event')
    .column('notify_after').where(sql.ref('notify_after'), 'is not', null).execute()

  await db.schema.createTable('otp_key')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('sealed', 'text', (c) => c.notNull())
    .execute()
}

export async function down (db: Kysely<unknown>): Promise<void> {
  for (const table of ['otp_key', 'otp_event', 'otp_session', 'otp_recovery_code', 'otp_device', 'otp_user']) {
    await db.schema.dropTable(table).execute()
  }
}
