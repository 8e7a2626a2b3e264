import { CompiledQuery, Kysely } from 'kysely'
import t from 'tap'
import { secondFactorMigrations } from '../../migrations/index.js'
import { migrateDown, migrateUp } from '../../src/postgres/migrator.js'
import { emptyPool } from '../helpers/empty-pool.js'

const NAME = '2026-11-30-04-factors'
const upTo = Object.fromEntries(Object.entries(secondFactorMigrations).filter(([name]) => name <= NAME))
const earlier = Object.fromEntries(Object.entries(upTo).filter(([name]) => name < NAME))

const pool = await emptyPool(t)
const db = new Kysely<unknown>({ dialect: pool.dialect })
const query = async (text: string) => (await db.executeQuery(CompiledQuery.raw(text))).rows as Array<Record<string, unknown>>

const CONFIRMED = '11111111-1111-4111-8111-111111111111'
const PENDING = '22222222-2222-4222-8222-222222222222'
const devices = async () => await query('select * from host.otp_device order by id')

t.test('M1 factors move to tables of their kinds with every value, and back, in a schema of its own', async (t) => {
  await query('create schema host')
  await migrateUp(pool.dialect, earlier, 'host')
  await query(`insert into host.otp_device (user_id, id, name, secret, digits, period_seconds, t0_seconds, last_step, created_at,
      confirmed_at, last_used_at, session_id, expires_at, failures, seed)
    values ('ada', '${CONFIRMED}', 'Phone', 'k.sealed', 8, 60, 7, 42, '2026-11-01', '2026-11-02', '2026-11-03', null, null, 0, null),
      ('ada', '${PENDING}', 'Tablet', 'k.other', 6, 30, 0, -1, '2026-11-04', null, null, 'first', '2026-11-05', 3, 'k.seed')`)
  for (const [id, device] of [['first', `'${CONFIRMED}'`], ['second', "'recovery'"], ['third', 'null']] as const) {
    await query(`insert into host.otp_session
        (user_id, id, started_at, expires_at, auth_at, amr, otp_required, otp_device_id, rotated_at, ip, agent)
      values ('ada', '${id}', now(), now(), now(), '{pwd}', true, ${device}, now(), '', '')`)
  }
  const before = await devices()

  await migrateUp(pool.dialect, upTo, 'host')
  t.match(await devices(), [
    { id: CONFIRMED, kind: 'totp', name: 'Phone', failures: 0, session_id: null, seed: null },
    { id: PENDING, kind: 'totp', name: 'Tablet', failures: 3, session_id: 'first', seed: 'k.seed' }
  ])
  t.match(await query('select * from host.otp_totp order by device_id'), [
    {
      user_id: 'ada',
      device_id: CONFIRMED,
      secret: 'k.sealed',
      algorithm: 'SHA1',
      digits: 8,
      period_seconds: 60,
      t0_seconds: 7,
      last_step: 42,
      last_used_at: before[0]!['last_used_at']
    },
    { device_id: PENDING, secret: 'k.other', digits: 6, period_seconds: 30, t0_seconds: 0, last_step: -1, last_used_at: null }
  ])
  t.same(await query('select id, otp_factor_ids as ids, phr_at from host.otp_session order by started_at'), [
    { id: 'first', ids: [CONFIRMED], phr_at: null }, { id: 'second', ids: [], phr_at: null }, { id: 'third', ids: [], phr_at: null }
  ])

  await query("insert into host.otp_device (user_id, id, kind, name, created_at) values ('ada', gen_random_uuid(), 'another', '', now())")
  await migrateDown(pool.dialect, upTo, 'host')
  t.same(await devices(), before, 'the rows are the same; a factor of another kind is not known there')
})

t.test('a secret is deleted with its factor; a session has one pending factor, of any kind', async (t) => {
  await migrateUp(pool.dialect, upTo, 'host')
  await t.rejects(
    query(`insert into host.otp_device (user_id, id, kind, name, created_at, session_id)
      values ('ada', gen_random_uuid(), 'another', '', now(), 'first')`),
    { code: '23505' }
  )
  await query(`delete from host.otp_device where id = '${CONFIRMED}'`)
  t.same(await query('select device_id from host.otp_totp'), [{ device_id: PENDING }])
})
