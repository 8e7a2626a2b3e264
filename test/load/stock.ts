import { randomBytes, randomUUID } from 'node:crypto'
import { sql, type RawBuilder } from 'kysely'
import { amr } from '../../src/core/assurance.js'
import type { Seal } from '../../src/core/keys/seal.js'
import type { SessionFacts } from '../../src/core/session.js'
import { standardTotp } from '../../src/core/totp/totp.js'
import { usernameKey } from '../../src/core/usernames.js'
import { sessionColumns } from '../../src/sessions/statements.js'
import { rows, type Db } from '../../src/tables/db.js'
import { devicePlace } from '../../src/factors/totp/verification.js'

/** How many of each kind the scenarios can use. */
export interface Amounts { guarded: number, people: number, verifications: number, refreshes: number }

/** Data for the scenarios. Each item is used once, except guarded sessions and people, which are used again. */
export interface Stock {
  /** Verified sessions. */
  guarded: SessionFacts[]
  /** Usernames. All users have the same password, which was hashed once. */
  people: string[]
  /** Sessions that need a code, and the secret of their user's device. */
  verifications: Array<{ session: SessionFacts, secret: Buffer }>
  refreshes: SessionFacts[]
  /** How far the database's clock is ahead of this process, in milliseconds. */
  aheadMs: number
}

/** Sessions outlive any run, because expiry is not measured. */
const SESSION_SECONDS = 86_400

/** Inserts users, devices and sessions into the tables directly: a sign-up would cost one password hash per user. */
export async function putStock (db: Db, seal: Seal, passwordHash: string, amounts: Amounts): Promise<Stock> {
  const [clock] = await rows<{ nowMs: number }>(db, sql`select (extract(epoch from clock_timestamp()) * 1000)::float8 as "nowMs"`)
  const aheadMs = clock!.nowMs - Date.now()
  const people = await putPeople(db, passwordHash, amounts.people)
  const guarded = await putSessions(db, newIds(amounts.guarded), { verified: true })
  const refreshes = await putSessions(db, newIds(amounts.refreshes), { verified: true })
  const secrets = await putDevices(db, seal, newIds(amounts.verifications))
  const pending = await putSessions(db, [...secrets.keys()], { verified: false })
  await rows(db, sql`analyze`)
  return {
    guarded,
    people,
    refreshes,
    aheadMs,
    verifications: pending.map((session) => ({ session, secret: secrets.get(session.userId)! }))
  }
}

export const newIds = (count: number) => Array.from({ length: count }, () => randomUUID())

async function putUsers (db: Db, userIds: readonly string[]): Promise<void> {
  await rows(db, sql`insert into ${db.table.otp_user} (user_id) select unnest(${userIds}::text[]) on conflict do nothing`)
}

async function putPeople (db: Db, passwordHash: string, count: number): Promise<string[]> {
  const ids = newIds(count)
  const names = ids.map((_id, i) => `load-${i}`)
  await putUsers(db, ids)
  await rows(db, sql`
    insert into ${db.table.account}
      (id, username, username_key, password_hash, is_active, is_staff, email, phone, first_name, last_name, created_at, updated_at)
    select id, name, key, ${passwordHash}, true, false, name || '@example.org', '', '', '', clock_timestamp(), clock_timestamp()
    from unnest(${ids}::uuid[], ${names}::text[], ${names.map(usernameKey)}::text[]) as given (id, name, key)`)
  return names
}

/** @returns the secrets of the devices, by user */
async function putDevices (db: Db, seal: Seal, userIds: readonly string[]): Promise<Map<string, Buffer>> {
  const { digits, periodSeconds, t0Seconds } = standardTotp
  const secrets = new Map(userIds.map((userId) => [userId, randomBytes(20)]))
  const ids = newIds(userIds.length)
  const sealed = userIds.map((userId, i) => seal.seal(secrets.get(userId)!, devicePlace(userId, { id: ids[i]! })))
  await putUsers(db, userIds)
  await rows(db, sql`
    with given as (
      select * from unnest(${userIds}::text[], ${ids}::uuid[], ${sealed}::text[]) as given (user_id, id, secret)
    ),
    device as (
      insert into ${db.table.otp_device} (user_id, id, name, created_at, confirmed_at)
      select user_id, id, 'Authenticator', clock_timestamp(), clock_timestamp() from given
    )
    insert into ${db.table.otp_totp} (user_id, device_id, secret, digits, period_seconds, t0_seconds, last_step)
    select user_id, id, secret, ${digits}::int, ${periodSeconds}::int, ${t0Seconds}::int, -1 from given`)
  return secrets
}

/** Inserts one session per user. The users need no account of the service. */
export async function putSessions (db: Db, userIds: readonly string[], { verified }: { verified: boolean }): Promise<SessionFacts[]> {
  await putUsers(db, userIds)
  const proven = (value: RawBuilder<unknown>) => verified ? value : sql`null`
  return await rows<SessionFacts>(db, sql`
    insert into ${db.table.otp_session}
      (user_id, id, started_at, expires_at, auth_at, amr, otp_required, otp_device_id, otp_at, rotated_at, ip, agent)
    select user_id, id, at, at + make_interval(secs => ${SESSION_SECONDS}), at, ${[...(verified ? amr.totp : amr.password)]}::text[], true,
      ${proven(sql`gen_random_uuid()::text`)}, ${proven(sql`at`)}, at, '127.0.0.1', 'npm run load'
    from unnest(${userIds}::text[], ${newIds(userIds.length)}::text[]) as given (user_id, id), (select clock_timestamp() as at) as now
    returning ${sql.join(sessionColumns)}`)
}
