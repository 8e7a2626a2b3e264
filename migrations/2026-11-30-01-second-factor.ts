import { sql, type Kysely } from 'kysely'

export async function up (db: Kysely<unknown>): Promise<void> {
  // Events that a user can cause without limit: numbered by user and kind, and counted in one line after sixty in an hour.
  await db.schema.alterTable('otp_event').addColumn('count', 'integer').execute()
  await db.schema.createTable('otp_event_counter')
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('kind', 'text', (c) => c.notNull())
    .addColumn('since', 'timestamptz', (c) => c.notNull())
    .addColumn('events', 'integer', (c) => c.notNull())
    .addColumn('line_at', 'timestamptz')
    .addColumn('line_id', 'uuid', (c) => c.notNull())
    .addPrimaryKeyConstraint('otp_event_counter_pk', ['user_id', 'kind'])
    .execute()

  // Refresh tokens that are presented again from another network; sessions that were replaced by another one.
  await db.schema.alterTable('otp_session')
    .addColumn('rotated_network', 'text')
    .addColumn('reused_generation', 'integer')
    .addColumn('reused_xid', sql`xid8`)
    .addColumn('replaced_by', 'text')
    .execute()

  await db.schema.alterTable('otp_session').addColumn('auth_claimed_at', 'timestamptz').execute()

  // Digests of the ids of hosts' ended sessions, kept after their rows.
  await db.schema.createTable('otp_ended_session')
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('digest', 'bytea', (c) => c.notNull())
    .addColumn('ended_at', 'timestamptz', (c) => c.notNull())
    .addPrimaryKeyConstraint('otp_ended_session_pk', ['user_id', 'digest'])
    .execute()
  await db.schema.createIndex('otp_ended_session_at').on('otp_ended_session').column('ended_at').execute()

  // The namespace of all sealed values in this schema, in clear text, so that another one can be refused by name. Null until known.
  await db.schema.alterTable('otp_key').addColumn('namespace', 'text').execute()

  // Wrong passwords at a host, by user and network.
  await db.schema.createTable('otp_password_budget')
    .addColumn('user_id', 'text', (c) => c.notNull())
    .addColumn('network', 'text', (c) => c.notNull())
    .addColumn('window_started_at', 'timestamptz', (c) => c.notNull())
    .addColumn('spent', 'integer', (c) => c.notNull())
    .addPrimaryKeyConstraint('otp_password_budget_pk', ['user_id', 'network'])
    .execute()
  await db.schema.createIndex('otp_password_budget_window').on('otp_password_budget').column('window_started_at').execute()

  // The long-term count of wrong codes, and the seed of a pending factor's secret and recovery codes.
  await db.schema.alterTable('otp_user').addColumn('wrong_codes_at', sql`timestamptz[]`, (c) => c.notNull().defaultTo('{}')).execute()
  await db.schema.alterTable('otp_device').addColumn('seed', 'text').execute()
  await db.schema.createIndex('otp_device_seed_left').on('otp_device').column('user_id')
    .where(sql.ref('seed'), 'is not', null).where(sql.ref('confirmed_at'), 'is not', null).execute()
}

export async function down (db: Kysely<unknown>): Promise<void> {
  await db.schema.dropIndex('otp_device_seed_left').execute()
  await db.schema.alterTable('otp_device').dropColumn('seed').execute()
  await db.schema.alterTable('otp_user').dropColumn('wrong_codes_at').execute()
  await db.schema.dropTable('otp_password_budget').execute()
  await db.schema.alterTable('otp_key').dropColumn('namespace').execute()
  await db.schema.dropTable('otp_ended_session').execute()
  await db.schema.alterTable('otp_session').dropColumn('auth_claimed_at').execute()
  for (const column of ['replaced_by', 'reused_xid', 'reused_generation', 'rotated_network']) {
    await db.schema.alterTable('otp_session').dropColumn(column).execute()
  }
  await db.schema.dropTable('otp_event_counter').execute()
  await db.schema.alterTable('otp_event').dropColumn('count').execute()
}
