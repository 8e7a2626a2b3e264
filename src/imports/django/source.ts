import type pg from 'pg'
import { COMMAND_CONNECT_MS } from '../../timing/limits.js'
import { connectFirst, serversOf } from '../../postgres/connect.js'

/** TOTP device of django-otp. */
export interface DjangoTotpDevice {
  id: number
  name: string
  confirmed: boolean
  /** Hexadecimal. */
  key: string
  /** Seconds. */
  step: number
  t0: number
  digits: number
  tolerance: number
  drift: number
  lastT: number
}

/** Code of a static device; `confirmed` is true if the device is active. */
export interface DjangoStaticToken { confirmed: boolean, token: string }

export interface DjangoProfile {
  email: string
  phone: string
  firstName: string
  lastName: string
  powerAccountId: number
  powerContactId: number
  createdAt: Date
  updatedAt: Date
}

export interface DjangoOauthProfile { id: number, serviceName: string, url: string, credentials: string }

/** User in `auth_user` with all dependent rows. */
export interface DjangoUser {
  id: number
  username: string
  password: string
  email: string
  firstName: string
  lastName: string
  isStaff: boolean
  isActive: boolean
  joinedAt: Date
  profile: DjangoProfile | null
  oauthProfiles: DjangoOauthProfile[]
  totpDevices: DjangoTotpDevice[]
  /** Number of static devices, with or without codes. */
  staticDevices: number
  staticTokens: DjangoStaticToken[]
}

export interface DjangoSource {
  count (since: Date | null): Promise<number>
  /** Returns users in pages, by id, from one snapshot. */
  pages (since: Date | null): AsyncGenerator<DjangoUser[]>
  close (): Promise<void>
}

/** Error of a source that cannot be used, with a message of one line for the operator. */
export class DjangoSourceError extends Error {
  override readonly name = 'DjangoSourceError'
}

const PAGE_USERS = 500
/**
 * Formats that pg reads correctly, and no time limit between two pages. They override the settings of the source's role and
 * database.
 */
const PLAIN = [
  "datestyle = 'ISO, MDY'", 'extra_float_digits = 1', 'statement_timeout = 0', 'lock_timeout = 0',
  'idle_in_transaction_session_timeout = 0'
]
/** Tables of such a deployment. If one is missing, the database belongs to another application. */
const TABLES = [
  'auth_user', 'account_userprofile', 'account_useroauthprofile', 'otp_totp_totpdevice', 'otp_static_staticdevice',
  'otp_static_statictoken'
]

/** Users that joined, logged in or changed their profile since this time; every user if it is null. */
const SINCE = '($1::timestamptz is null or greatest(u.date_joined, u.last_login, p.updated_at) >= $1)'
const USERS = 'auth_user u left join account_userprofile p on p.user_id = u.id'

/**
 * Opens the database of a Django deployment for reading, from one snapshot.
 *
 * @param password called only if the server needs one; its errors are passed on
 * @throws {DjangoSourceError} if it does not answer, or is another database
 */
export async function openDjango (url: string, password: () => Promise<string>): Promise<DjangoSource> {
  let unasked: unknown
  const client = await connectFirst(serversOf(url, 'libpq'), {
    password: () => password().catch((error: unknown) => {
      unasked = error
      throw error
    }),
    connectionTimeoutMillis: COMMAND_CONNECT_MS,
    application_name: 'countersign import'
  }).catch((error: Error) => { throw unasked ?? new DjangoSourceError(`The source does not answer: ${error.message}`) })
  try {
    await client.query(
      `begin transaction isolation level repeatable read, read only; ${PLAIN.map((setting) => `set local ${setting}`).join('; ')}`
    )
    const { rows } = await client.query<{ missing: string }>(
      'select name as missing from unnest($1::text[]) name where to_regclass(name) is null', [TABLES]
    )
    if (rows.length > 0) {
      throw new DjangoSourceError(`The source has no ${rows.map(({ missing }) => missing).join(', ')}: it is not such a Django deployment.`)
    }
  } catch (error) {
    await client.end()
    throw error
  }
  return {
    async count (since) {
      const { rows } = await client.query<{ count: number }>(`select count(*)::int as count from ${USERS} where ${SINCE}`, [since])
      return rows[0]!.count
    },
    async * pages (since) {
      for (let after = Number.MIN_SAFE_INTEGER; ;) {
        const users = await readPage(client, since, after)
        if (users.length === 0) return
        yield users
        after = users.at(-1)!.id
      }
    },
    close: () => client.end()
  }
}

/** Whole numbers above 32 bits are read as float8, exact up to 2^53, because pg returns them as text otherwise. */
async function readPage (client: pg.Client, since: Date | null, after: number): Promise<DjangoUser[]> {
  type Row = Omit<DjangoUser, 'profile' | 'oauthProfiles' | 'totpDevices' | 'staticDevices' | 'staticTokens'>
  const { rows: users } = await client.query<Row>(`
    select u.id::float8 as id, u.username, u.password, u.email, u.first_name as "firstName", u.last_name as "lastName",
      u.is_staff as "isStaff", u.is_active as "isActive", u.date_joined as "joinedAt"
    from ${USERS} where u.id > $2::float8::bigint and ${SINCE} order by u.id limit ${PAGE_USERS}`, [since, after])
  const ids = users.map(({ id }) => id)
  const profiles = await byUser<DjangoProfile>(client, ids, `
    select user_id::float8 as "userId", email, phone, first_name as "firstName", last_name as "lastName",
      power_account_id as "powerAccountId", power_contact_id as "powerContactId", created_at as "createdAt", updated_at as "updatedAt"
    from account_userprofile`)
  const oauthProfiles = await byUser<DjangoOauthProfile>(client, ids, `
    select user_id::float8 as "userId", id::float8 as id, oauth_service_name as "serviceName", oauth_url as url,
      oauth_credentials as credentials
    from account_useroauthprofile`, 'id')
  const totpDevices = await byUser<DjangoTotpDevice>(client, ids, `
    select user_id::float8 as "userId", id::float8 as id, name, confirmed, key, step, t0::float8 as t0, digits, tolerance, drift,
      last_t::float8 as "lastT"
    from otp_totp_totpdevice`, 'id')
  const statics = await byUser<{ deviceId: number, confirmed: boolean, token: string | null }>(client, ids, `
    select user_id::float8 as "userId", d.id::float8 as "deviceId", confirmed, token
    from otp_static_staticdevice d left join otp_static_statictoken t on t.device_id = d.id`, 'd.id, t.id')
  return users.map((user) => ({
    ...user,
    profile: profiles.get(user.id)?.[0] ?? null,
    oauthProfiles: oauthProfiles.get(user.id) ?? [],
    totpDevices: totpDevices.get(user.id) ?? [],
    staticDevices: new Set(statics.get(user.id)?.map(({ deviceId }) => deviceId)).size,
    staticTokens: statics.get(user.id)?.flatMap(({ confirmed, token }) => token === null ? [] : [{ confirmed, token }]) ?? []
  }))
}

async function byUser<Row> (client: pg.Client, ids: number[], select: string, order = 'user_id'): Promise<Map<number, Row[]>> {
  const { rows } = await client.query<{ userId: number }>(`${select} where user_id = any ($1::bigint[]) order by ${order}`, [ids])
  const found = new Map<number, Row[]>()
  for (const { userId, ...rest } of rows) {
    const of = found.get(userId)
    if (of === undefined) found.set(userId, [rest as Row])
    else of.push(rest as Row)
  }
  return found
}
