import { CompiledQuery, Kysely } from 'kysely'
import t from 'tap'
import { secondFactorMigrations } from '../../migrations/index.js'
import { migrateDown, migrateUp } from '../../src/postgres/migrator.js'
import { emptyPool } from '../helpers/empty-pool.js'

const upTo = (last: string) => Object.fromEntries(Object.entries(secondFactorMigrations).filter(([name]) => name <= last))

t.test('a role with rights on the one table of events has them on the tables that follow, and after the way back', async (t) => {
  const pool = await emptyPool(t)
  const db = new Kysely<unknown>({ dialect: pool.dialect })
  const query = async (text: string) => (await db.executeQuery(CompiledQuery.raw(text))).rows as Array<Record<string, unknown>>
  const [before, after] = [upTo('2026-11-30-12-revocations'), upTo('2026-11-30-13-event-tables')]
  const role = `"a ""role"" ${process.pid}"`
  await query('create schema host')
  await query(`create role ${role}`)
  try {
    await migrateUp(pool.dialect, before, 'host')
    await query('grant select on host.otp_event to public')
    await query(`grant insert on host.otp_event to ${role} with grant option`)
    const rights = async (table: string) => (await query(`
      select grantee::regrole::text as who, privilege_type as what, is_grantable as "mayPass" from pg_class c, aclexplode(c.relacl)
      where c.oid = 'host.${table}'::regclass and grantee <> relowner order by 2`))
    const given = await rights('otp_event')
    t.equal(given.length, 2)
    await migrateUp(pool.dialect, after, 'host')
    for (const table of ['otp_event', 'otp_event_current', 'otp_event_before']) t.same(await rights(table), given, table)
    await migrateDown(pool.dialect, after, 'host')
    t.same(await rights('otp_event'), given)
  } finally {
    await query(`drop owned by ${role}`)
    await query(`drop role ${role}`)
  }
})
