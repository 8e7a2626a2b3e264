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

/** Makes another user with copies of all rows of a user: sessions, devices and challenges have the same ids. @returns the id */
export async function twinOf (query: Query, userId: string): Promise<string> {
  const twin = randomUUID()
  for (const [table, key, other = {}] of TABLES) {
    const changes = Object.entries({ [key]: '$2::text', ...other }).map(([column, value]) => `'${column}', ${value}`)
    const changed = `jsonb_populate_record(null::${table}, to_jsonb(r) || jsonb_build_object(${changes.join(', ')}))`
    await query(`insert into ${table} select (${changed}).* from ${table} r where r.${key}::text = $1`, [userId, twin])
  }
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
