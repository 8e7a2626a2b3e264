import { CompiledQuery, Kysely } from 'kysely'
import t from 'tap'
import { secondFactorMigrations } from '../../migrations/index.js'
import { migrateDown, migrateUp } from '../../src/postgres/migrator.js'
import { emptyPool } from '../helpers/empty-pool.js'

const upTo = (last: string) => Object.fromEntries(Object.entries(secondFactorMigrations).filter(([name]) => name <= last))
const [before, passkeys, challenges] = [upTo('2026-11-30-04-factors'), upTo('2026-11-30-06-passkeys'), upTo('2026-11-30-11-challenges')]

const pool = await emptyPool(t)
const db = new Kysely<unknown>({ dialect: pool.dialect })
const query = async (text: string) => (await db.executeQuery(CompiledQuery.raw(text))).rows as Array<Record<string, unknown>>

const PHONE = '11111111-1111-4111-8111-111111111111'
const KEY = '22222222-2222-4222-8222-222222222222'
const LONGEST_ID = "decode(repeat('ab', 1023), 'hex')"
const putDevice = (id: string, kind: string) => query(`insert into host.otp_device (user_id, id, kind, name, created_at, confirmed_at)
  values ('ada', '${id}', '${kind}', '', now(), now())`)
const putPasskey = (user: string, id: string, credential: string) => query(`insert into host.otp_passkey (user_id, device_id, rp_id,
    credential_id, public_key, algorithm, sign_count, transports, aaguid, backup_eligible, backed_up)
  values ('${user}', '${id}', 'example.org', ${credential}, '', -7, 4294967295, '{usb}', gen_random_uuid(), false, false)`)

t.test('M1 passkeys have a table beside the factors, in a schema of its own, and leave with it', async (t) => {
  await query('create schema host')
  await migrateUp(pool.dialect, before, 'host')
  await putDevice(PHONE, 'totp')
  const devices = await query('select * from host.otp_device')
  await migrateUp(pool.dialect, passkeys, 'host')
  await putDevice(KEY, 'passkey')
  await putPasskey('ada', KEY, LONGEST_ID)
  await t.rejects(putPasskey('ada', PHONE, LONGEST_ID), { code: '23505' }, 'registered once, over all factors')
  await t.rejects(putPasskey('bob', PHONE, "'x'"), { code: '23503' }, 'of no factor')

  await migrateDown(pool.dialect, passkeys, 'host')
  t.strictSame(await query('select * from host.otp_device'), devices, 'the factors of other kinds are as before')
})

t.test('a key is deleted with its factor', async (t) => {
  await migrateUp(pool.dialect, passkeys, 'host')
  await putDevice(KEY, 'passkey')
  await putPasskey('ada', KEY, "'x'")
  await query(`delete from host.otp_device where id = '${KEY}'`)
  t.strictSame(await query('select device_id from host.otp_passkey'), [])
})

t.test('challenges are counted in their session, and those outstanding stay, up and down', async (t) => {
  await query(`insert into host.otp_session (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent)
    values ('ada', 'first', now(), now(), now(), '{pwd}', false, now(), '', '')`)
  await query(`insert into host.otp_challenge (user_id, session_id, purpose, challenge, expires_at, created_at, window_started_at, issued)
    values ('ada', 'first', 'verify', 'abc', now(), now(), now(), 7)`)
  await migrateUp(pool.dialect, challenges, 'host')
  t.match(await query('select challenges, challenges_since from host.otp_session'), [{ challenges: 0, challenges_since: null }])
  t.match(await query('select purpose from host.otp_challenge'), [{ purpose: 'verify' }])
  await migrateDown(pool.dialect, challenges, 'host')
  t.match(await query('select purpose, issued from host.otp_challenge'), [{ purpose: 'verify', issued: 0 }])
})
