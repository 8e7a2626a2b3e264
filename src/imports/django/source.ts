import { PAGE_USERS, type Source } from '../person.js'
import { byUser, openSourceDatabase, type SourceDatabase } from '../postgres-source.js'
import { translate } from './translate.js'

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

/** Tables of such a deployment. */
const TABLES = [
  'auth_user', 'account_userprofile', 'account_useroauthprofile', 'otp_totp_totpdevice', 'otp_static_staticdevice',
  'otp_static_statictoken'
]

/** Users that joined, logged in or changed their profile since this time; every user if it is null. */
const SINCE = '($1::timestamptz is null or greatest(u.date_joined, u.last_login, p.updated_at) >= $1)'
const USERS = 'auth_user u left join account_userprofile p on p.user_id = u.id'

/**
 * Opens the database of a Django deployment for reading.
 *
 * @param password called only if the server needs one; its errors are passed on
 * @param window steps accepted here on each side of now
 * @throws {SourceError} if it does not answer, or is another database
 */
export async function openDjango (url: string, password: () => Promise<string>, window: number): Promise<Source> {
  const db = await openSourceDatabase(url, password, TABLES, 'such a Django deployment')
  return {
    name: 'django',
    async * pages (since) {
      const [counted] = await db.rows<{ total: number }>(`select count(*)::int as total from ${USERS} where ${SINCE}`, [since])
      const { total } = counted!
      let done = 0
      for (let after = Number.MIN_SAFE_INTEGER; ;) {
        const users = await readPage(db, since, after)
        if (users.length === 0) return
        done += users.length
        yield { entries: users.map((user) => ({ person: translate(user, window) })), done, total }
        after = users.at(-1)!.id
      }
    },
    close: db.close
  }
}

/** Whole numbers above 32 bits are read as float8, exact up to 2^53, because pg returns them as text otherwise. */
async function readPage (db: SourceDatabase, since: Date | null, after: number): Promise<DjangoUser[]> {
  type Row = Omit<DjangoUser, 'profile' | 'oauthProfiles' | 'totpDevices' | 'staticDevices' | 'staticTokens'>
  const users = await db.rows<Row>(`
    select u.id::float8 as id, u.username, u.password, u.email, u.first_name as "firstName", u.last_name as "lastName",
      u.is_staff as "isStaff", u.is_active as "isActive", u.date_joined as "joinedAt"
    from ${USERS} where u.id > $2::float8::bigint and ${SINCE} order by u.id limit ${PAGE_USERS}`, [since, after])
  const of = async <Other>(select: string, order = 'user_id') => byUser(await db.rows<Other & { userId: number }>(
    `${select} where user_id = any ($1::bigint[]) order by ${order}`, [users.map(({ id }) => id)]))
  const profiles = await of<DjangoProfile>(`
    select user_id::float8 as "userId", email, phone, first_name as "firstName", last_name as "lastName",
      power_account_id as "powerAccountId", power_contact_id as "powerContactId", created_at as "createdAt", updated_at as "updatedAt"
    from account_userprofile`)
  const oauthProfiles = await of<DjangoOauthProfile>(`
    select user_id::float8 as "userId", id::float8 as id, oauth_service_name as "serviceName", oauth_url as url,
      oauth_credentials as credentials
    from account_useroauthprofile`, 'id')
  const totpDevices = await of<DjangoTotpDevice>(`
    select user_id::float8 as "userId", id::float8 as id, name, confirmed, key, step, t0::float8 as t0, digits, tolerance, drift,
      last_t::float8 as "lastT"
    from otp_totp_totpdevice`, 'id')
  const statics = await of<{ deviceId: number, confirmed: boolean, token: string | null }>(`
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
