import { CompiledQuery, Kysely } from 'kysely'
import t from 'tap'
import { secondFactorMigrations } from '../../migrations/index.js'
import { migrateDown, migrateUp } from '../../src/postgres/migrator.js'
import { emptyPool } from '../helpers/empty-pool.js'

const upTo = (last: string) => Object.fromEntries(Object.entries(secondFactorMigrations).filter(([name]) => name <= last))

t.test('marks of forgotten users move to a table of marks, and back; digests of sessions stay', async (t) => {
  const pool = await emptyPool(t)
  const db = new Kysely<unknown>({ dialect: pool.dialect })
  const query = async (text: string) => (await db.executeQuery(CompiledQuery.raw(text))).rows as Array<Record<string, unknown>>
  const [before, after] = [upTo('2026-11-30-11-challenges'), upTo('2026-11-30-12-revocations')]
  await query('create schema host')
  await migrateUp(pool.dialect, before, 'host')
  await query(`insert into host.otp_ended_session (user_id, digest, ended_at)
    values ('ada', '', '2026-11-30T10:00:00Z'), ('ada', 'abc', '2026-11-30T09:00:00Z'), ('bob', 'abc', '2026-11-30T09:00:00Z')`)
  const digests = await query('select * from host.otp_ended_session order by user_id, digest')

  await migrateUp(pool.dialect, after, 'host')
  t.same(await query('select * from host.otp_revocation'), [{ user_id: 'ada', ended_before: new Date('2026-11-30T10:00:00Z') }])
  t.same(await query('select user_id from host.otp_ended_session order by user_id'), [{ user_id: 'ada' }, { user_id: 'bob' }])

  await query("insert into host.otp_revocation values ('', now())")
  await migrateDown(pool.dialect, after, 'host')
  t.same(await query('select * from host.otp_ended_session order by user_id, digest'), digests)
})

t.test('marks get a place in the order of readings, and lose it again', async (t) => {
  const pool = await emptyPool(t)
  const db = new Kysely<unknown>({ dialect: pool.dialect })
  const query = async (text: string) => (await db.executeQuery(CompiledQuery.raw(text))).rows as Array<Record<string, unknown>>
  const [before, after] = [upTo('2026-11-30-13-event-tables'), upTo('2026-11-30-14-marks-of-users')]
  await query('create schema host')
  await migrateUp(pool.dialect, before, 'host')
  await query("insert into host.otp_revocation values ('ada', '2026-11-30T10:00:00Z')")
  const marks = await query('select * from host.otp_revocation')
  await migrateUp(pool.dialect, after, 'host')
  t.same(await query('select user_id, ended_xid from host.otp_revocation'), [{ user_id: 'ada', ended_xid: null }])
  await query("insert into host.otp_revocation (user_id, ended_before) values ('bob', now())")
  await migrateDown(pool.dialect, after, 'host')
  t.same(await query("select * from host.otp_revocation where user_id = 'ada'"), marks)
})
