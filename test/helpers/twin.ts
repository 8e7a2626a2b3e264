import { randomUUID } from 'node:crypto'
import type { Query } from './clock.js'

/** Tables with rows of users: the column with the user's id, and columns that must differ between users, as SQL over a row `r`. */
const TABLES: ReadonlyArray<readonly [table: string, key: string, other?: Readonly<Record<string, string>>]> = [
  ['account', 'id', { username: '$2::text', username_key: '$2::text', email: "$2::text || '@example.org'" }],
  ['otp_user', 'user_id', { passkey_handle: "r.passkey_handle || '\\x01'::bytea" }],
  ['otp_device', 'user_id'],
  ['otp_totp', 'user_id'],
  ['otp_passkey', 'user_id', { credential_id: "r.credential_id || '\\x01'::bytea" }],
  ['otp_challenge', 'user_id'],
  ['otp_recovery_code', 'user_id'],
  ['otp_session', 'user_id'],
  ['otp_event_counter', 'user_id'],
  ['account_network', 'user_id'],
  ['account_link', 'user_id', { digest: 'sha256(r.digest)' }],
  ['account_oauth_profile', 'user_id']
]

/**
 * Makes another user with copies of all rows of a user: sessions, devices and challenges have the same ids. It has used up its wrong codes.
 *
 * @returns the id
 */
export async function twinOf (query: Query, userId: string): Promise<string> {
  const twin = randomUUID()
  for (const [table, key, other = {}] of TABLES) {
    const changes = Object.entries({ [key]: '$2::text', ...other }).map(([column, value]) => `'${column}', ${value}`)
    const changed = `jsonb_populate_record(null::${table}, to_jsonb(r) || jsonb_build_object(${changes.join(', ')}))`
    await query(`insert into ${table} select (${changed}).* from ${table} r where r.${key}::text = $1`, [userId, twin])
  }
  await query('update otp_session set failures = 5 where user_id = $1', [twin])
  await query('update otp_device set failures = 10 where user_id = $1 and confirmed_at is null', [twin])
  return twin
}

/** Returns all rows of a user, and the number of its events. */
export async function rowsOf (query: Query, userId: string): Promise<Record<string, unknown[]>> {
  const found: Record<string, unknown[]> = {}
  for (const [table, key] of [...TABLES, ['otp_event', 'user_id'] as const]) {
    found[table] = await query(`select to_jsonb(r) as r from ${table} r where r.${key}::text = $1 order by to_jsonb(r)::text`, [userId])
  }
  return found
}

/**
 * Returns what no operation changes as long as the rows are there: ends of sessions, used codes, the times of confirmation, and the last
 * step of the unused app.
 */
export async function settledOf (query: Query, userId: string, spareId: string): Promise<Map<string, unknown>> {
  const rows = await query<{ key: string, value: unknown }>(`
    select 'session ' || id as key, jsonb_build_array(ended_at, ended_xid::text, end_reason, replaced_by) as value
      from otp_session where user_id = $1 and ended_at is not null
    union all select 'code ' || digest, to_jsonb(used_at) from otp_recovery_code where user_id = $1 and used_at is not null
    union all select 'device ' || id, to_jsonb(confirmed_at) from otp_device where user_id = $1 and confirmed_at is not null
    union all select 'app ' || device_id, to_jsonb(last_step) from otp_totp where user_id = $1 and device_id = $2`, [userId, spareId])
  return new Map(rows.map(({ key, value }) => [key, value]))
}

/** Returns the rows of a session, and of its set-up and its challenges. */
export async function rowsOfSession (query: Query, userId: string, sessionId: string): Promise<Record<'session' | 'set-up', unknown[]>> {
  const rowsIn = async (text: string) => (await query<{ r: unknown }>(
    `select to_jsonb(r) as r from ${text} order by to_jsonb(r)::text`, [userId, sessionId])).map(({ r }) => r)
  const devices = '(select id from otp_device d where d.user_id = $1 and d.session_id = $2)'
  return {
    session: await rowsIn('otp_session r where r.user_id = $1 and r.id = $2'),
    'set-up': [
      ...await rowsIn('otp_device r where r.user_id = $1 and r.session_id = $2'),
      ...await rowsIn(`otp_totp r where r.user_id = $1 and r.device_id in ${devices}`),
      ...await rowsIn(`otp_recovery_code r where r.user_id = $1 and r.pending_device_id in ${devices}`),
      ...await rowsIn('otp_challenge r where r.user_id = $1 and r.session_id = $2')
    ]
  }
}
