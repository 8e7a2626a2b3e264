import { CompiledQuery, Kysely } from 'kysely'
import t from 'tap'
import { secondFactorMigrations, serviceMigrations } from '../../migrations/index.js'
import { migrateDown, migrateUp, readMigrations } from '../../src/postgres/migrator.js'
import { emptyPool } from '../helpers/empty-pool.js'

const pool = await emptyPool(t)
const db = new Kysely<unknown>({ dialect: pool.dialect })

const query = async (text: string) => (await db.executeQuery(CompiledQuery.raw(text))).rows as Array<Record<string, unknown>>
const OURS = "not in ('information_schema', 'pg_catalog', 'pg_toast')"
/** Reads tables, columns, keys, indexes, functions and types. */
async function everything (): Promise<string> {
  return JSON.stringify([
    await query(`select table_schema, table_name, column_name, data_type, is_nullable, column_default from information_schema.columns
      where table_schema ${OURS} and table_name not like 'countersign_migration%' order by 1, 2, 3`),
    await query(`select indexdef from pg_indexes where schemaname ${OURS} and tablename not like 'countersign_migration%' order by 1`),
    await query(`select conname, pg_get_constraintdef(oid) as def from pg_constraint
      where connamespace = 'public'::regnamespace and conrelid::regclass::text not like 'countersign_migration%' order by 1`),
    await query("select proname from pg_proc where pronamespace = 'public'::regnamespace order by 1"),
    await query(`select typname from pg_type
      where typnamespace = 'public'::regnamespace and typname not like '%countersign_migration%' order by 1`),
    await query("select relname from pg_class where relkind = 'S' order by 1")
  ])
}

t.test('M1 up, down, up leaves nothing behind', async (t) => {
  const empty = await everything()
  const names = Object.keys(serviceMigrations)
  t.same(await migrateUp(pool.dialect, serviceMigrations), names.map((name) => ({ name, direction: 'Up' })))
  const full = await everything()
  t.not(full, empty)
  t.same(await migrateUp(pool.dialect, serviceMigrations), [], 'a second time there is nothing to do')

  for (const name of [...names].reverse()) t.same(await migrateDown(pool.dialect, serviceMigrations), [{ name, direction: 'Down' }])
  t.equal(await everything(), empty, 'down leaves nothing')
  t.same(await migrateDown(pool.dialect, serviceMigrations), [], 'and stops there')
  await migrateUp(pool.dialect, serviceMigrations)
  t.equal(await everything(), full, 'up makes the same again')
})

t.test('M1 O12 it is known at a glance which are to do, and which a newer version did', async (t) => {
  const [first = '', ...others] = Object.keys(serviceMigrations)
  t.same(await readMigrations(pool.dialect, serviceMigrations), { pending: [], unknown: [] })
  t.same(await readMigrations(pool.dialect, { [first]: serviceMigrations[first]! }), { pending: [], unknown: others })
  t.same(await readMigrations(pool.dialect, { ...serviceMigrations, later: serviceMigrations[first]! }),
    { pending: ['later'], unknown: [] })
  for (let down = 1; down <= others.length + 1; down++) {
    await migrateDown(pool.dialect, serviceMigrations)
    t.same(await readMigrations(pool.dialect, serviceMigrations), { pending: Object.keys(serviceMigrations).slice(-down), unknown: [] })
  }
  await query('drop table countersign_migration')
  t.same(await readMigrations(pool.dialect, serviceMigrations), { pending: Object.keys(serviceMigrations), unknown: [] },
    'an empty database')
  await migrateUp(pool.dialect, serviceMigrations)
})

t.test('O12 a version leaves the tables of a newer one as they are, and never mixes its own in', async (t) => {
  const before = await everything()
  const [first = '', ...others] = Object.keys(serviceMigrations)
  const older = { [first]: serviceMigrations[first]! }
  t.same(await migrateUp(pool.dialect, older), [])
  await t.rejects(migrateDown(pool.dialect, older), { name: 'UnusableDatabaseError' })
  await t.rejects(migrateUp(pool.dialect, { ...older, '2026-12-24-other': serviceMigrations[first]! }), { name: 'UnusableDatabaseError' })
  t.equal(await everything(), before)
  t.same((await readMigrations(pool.dialect, older)).unknown, others)
})

t.test('the list of another schema of the same database is another list', async (t) => {
  const pool = await emptyPool(t)
  await migrateUp(pool.dialect, secondFactorMigrations, 'countersign')
  t.equal((await migrateUp(pool.dialect, serviceMigrations)).length, Object.keys(serviceMigrations).length)
  t.same(await readMigrations(pool.dialect, secondFactorMigrations, 'countersign'), { pending: [], unknown: [] })
})

t.test('M4 every primary and unique key that decides a fact of the second factor contains the user', async (t) => {
  const keys = await query(`select tablename, indexname, indexdef from pg_indexes
    where schemaname = 'public' and tablename like 'otp_%' and indexdef like 'CREATE UNIQUE%'`)
  t.ok(keys.length >= 6)
  for (const { tablename, indexname, indexdef } of keys) {
    // The table of the deployment's keys: it decides nothing about a user.
    if (tablename === 'otp_key') continue
    // The names of the tables that events are in.
    if (tablename === 'otp_event_table') continue
    // A credential belongs to one user of all (WebAuthn L3 §7.1).
    if (indexname === 'otp_passkey_credential') continue
    t.match(indexdef, /\(user_id/, String(tablename))
  }
})

t.test('M1 a migration that fails is taken back whole, and is thrown', async (t) => {
  const before = await everything()
  const broken = {
    ...serviceMigrations,
    '2999-01-01-broken': {
      async up (db: Kysely<unknown>) {
        await db.schema.createTable('half').addColumn('a', 'integer').execute()
        await db.schema.createTable('half').addColumn('a', 'integer').execute()
      },
      async down () {}
    }
  }
  await t.rejects(migrateUp(pool.dialect, broken), { code: '42P07' })
  t.equal(await everything(), before)
  t.same(await migrateUp(pool.dialect, serviceMigrations), [])
})

t.test('the tables of an attached host are a part of the service\'s, by the same names', async (t) => {
  for (const [name, migration] of Object.entries(secondFactorMigrations)) t.equal(serviceMigrations[name], migration)
  const names = Object.keys(serviceMigrations)
  t.same(names, [...names].sort(), 'in the order in which they run')
})

t.test('waiting deliveries and imports are carried over, up and down', async (t) => {
  const pool = await emptyPool(t)
  const db = new Kysely<unknown>({ dialect: pool.dialect })
  const query = async (text: string) => (await db.executeQuery(CompiledQuery.raw(text))).rows
  const before = Object.fromEntries(Object.entries(serviceMigrations).filter(([name]) => name < '2026-11-30-03'))
  await migrateUp(pool.dialect, before)
  await query(`insert into otp_event (user_id, at, id, kind, ip, agent, notify_after, notify_attempts)
    select 'ada', now(), gen_random_uuid(), 'logged_in', '', '', case n when 1 then now() + interval '5 s' end, 3
    from generate_series(1, 2) n`)
  await query("insert into account_import (django_id, user_id, fingerprint, imported_at) values (7, 'ada', 'f', now())")
  const old = () => query(`select user_id, at, id, notify_after, case when notify_after is not null then notify_attempts end as attempts
    from otp_event order by id`)
  const imports = () => query('select django_id, user_id, fingerprint, imported_at from account_import')
  const [events, imported] = [await old(), await imports()]

  await migrateUp(pool.dialect, serviceMigrations)
  t.strictSame(await query(`select d.destination, d.attempts, d.due_at > now() as waits, d.expires_at - e.at = interval '1 day' as expires
    from otp_delivery d join otp_event e on e.user_id = d.user_id and e.at = d.event_at and e.id = d.event_id`), [
    { destination: 'webhook', attempts: 3, waits: true, expires: true }])
  t.strictSame(await query('select source, external_id, user_id from account_import'), [
    { source: 'django', external_id: '7', user_id: 'ada' }])
  await query(`insert into account_import (source, external_id, user_id, fingerprint, imported_at)
    values ('other', 'x', 'bob', 'f', now())`)

  for (const name of Object.keys(serviceMigrations)) if (!(name in before)) await migrateDown(pool.dialect, serviceMigrations)
  t.strictSame(await old(), events)
  t.strictSame(await imports(), imported, 'those from other systems are lost')
})
