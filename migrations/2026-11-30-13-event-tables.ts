import { sql, type Kysely } from 'kysely'

/** Returns the name of a table with the schema that the migrator was given, which the builder writes into its own statements only. */
const nameOf = (db: Kysely<any>, name: string) => db.deleteFrom(name).compile().sql.slice('delete from '.length)
const tableOf = (db: Kysely<any>, name: string) => sql.raw(nameOf(db, name))

/** Gives tables the grants of another one: a role that had them on the one table of events needs them on the new ones. */
async function passGrants (db: Kysely<any>, from: string, to: readonly string[]): Promise<void> {
  const text = (name: string) => `'${nameOf(db, name).replaceAll("'", "''")}'`
  await sql.raw(`do $do$ declare command text; begin
    for command in select format('grant %s on %s to %s%s', privilege_type, name,
        case grantee when 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
        case when is_grantable then ' with grant option' end)
      from pg_class c, aclexplode(c.relacl), unnest(array[${to.map(text).join(', ')}]) name
      where c.oid = ${text(from)}::regclass and grantee <> c.relowner
    loop execute command; end loop;
  end $do$`).execute(db)
}

/** The table of events becomes a child of a new one, and no row of it is touched. Every child has the same columns and indexes. */
export async function up (db: Kysely<any>): Promise<void> {
  const [all, before, current] = [tableOf(db, 'otp_event'), tableOf(db, 'otp_event_before'), tableOf(db, 'otp_event_current')]
  await sql`alter table ${all} rename to otp_event_before`.execute(db)
  await sql`create table ${all} (like ${before} including all)`.execute(db)
  // The newest events are then found by their time too, before a vacuum.
  await sql`alter index ${tableOf(db, 'otp_event_at_idx')} set (autosummarize = on)`.execute(db)
  await sql`alter table ${before} inherit ${all}`.execute(db)
  // Not by `inherits`, which sends the client a notice for each column.
  await sql`create table ${current} (like ${all} including all)`.execute(db)
  await sql`alter table ${current} inherit ${all}`.execute(db)
  await passGrants(db, 'otp_event_before', ['otp_event', 'otp_event_current'])

  // The children that get no new events, and since when.
  await db.schema.createTable('otp_event_table')
    .addColumn('name', 'text', (c) => c.primaryKey())
    .addColumn('closed_at', 'timestamptz', (c) => c.notNull())
    .addColumn('dropped_at', 'timestamptz')
    .execute()
  await db.insertInto('otp_event_table').values({ name: sql.lit('otp_event_before'), closed_at: sql.raw('now()') }).execute()
}

/** Copies all events into one table. */
export async function down (db: Kysely<any>): Promise<void> {
  const whole = tableOf(db, 'otp_event_whole')
  await sql`create table ${whole} (like ${tableOf(db, 'otp_event')})`.execute(db)
  await db.insertInto('otp_event_whole').expression(db.selectFrom('otp_event').distinctOn(['user_id', 'at', 'id']).selectAll()).execute()
  await passGrants(db, 'otp_event', ['otp_event_whole'])
  await db.schema.dropTable('otp_event').cascade().execute()
  await db.schema.dropTable('otp_event_table').execute()
  await sql`alter table ${whole} rename to otp_event`.execute(db)
  await db.schema.alterTable('otp_event').addPrimaryKeyConstraint('otp_event_pk', ['user_id', 'at', 'id']).execute()
  await sql`create index otp_event_at on ${tableOf(db, 'otp_event')} using brin (at) with (pages_per_range = 32)`.execute(db)
}
