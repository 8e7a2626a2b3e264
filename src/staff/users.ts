import { sql } from 'kysely'
import { emailKey } from '../core/texts.js'
import { trimmedName } from '../core/normal-forms.js'
import { usernameKey } from '../core/usernames.js'
import { isStopped } from '../factors/lockout-statements.js'
import { now } from '../tables/values.js'
import { row, rows, type Db } from '../tables/db.js'
import { timeAs } from '../tables/values.js'

/** Account in a list for staff, without any secret. */
export interface ListedUser {
  id: string
  username: string
  email: string
  firstName: string
  lastName: string
  isActive: boolean
  isStaff: boolean
  isOtpEnabled: boolean
  createdAt: Date
}

export interface ShownUser extends ListedUser {
  phone: string
  powerAccountId: number | null
  powerContactId: number | null
  updatedAt: Date
  /** Wrong codes since the last accepted one, and the time until which no code is accepted; null if codes are accepted. */
  failures: number
  lockedUntil: Date | null
  /** True if wrong codes stopped authenticator codes, until a recovery code is used or staff unlock the account. */
  isStopped: boolean
  /** True if the factors were reset and no device is set up; and the time until which the set-up code is valid, null if it was used. */
  setupRequired: boolean
  setupExpiresAt: Date | null
  recoveryCodesLeft: number
}

export interface UserPage {
  users: ListedUser[]
  /** Start of the next page; null after the last page. */
  nextCursor: string | null
}

const listed = ({ table }: Db) => sql`
  a.id, a.username, a.email, a.first_name as "firstName", a.last_name as "lastName", a.is_active as "isActive", a.is_staff as "isStaff",
  exists (select from ${table.otp_device} d where d.user_id = a.id::text and d.confirmed_at is not null) as "isOtpEnabled",
  ${timeAs(sql`a.created_at`, 'createdAt')}`

/** Byte order, for which an index exists in every locale of the database. */
const name = sql`(a.username_key collate "C")`

/**
 * Returns one page of the users whose name begins with `query` or whose e-mail address equals it, ordered by name. `query`
 * is not a pattern; an empty one finds every user.
 *
 * @param cursor of the page before, null for the first
 * @returns null if the cursor is invalid
 */
export async function findUsers (db: Db, query: string, limit: number, cursor: string | null): Promise<UserPage | null> {
  const { table } = db
  const after = cursor === null ? '' : Buffer.from(cursor, 'base64url').toString()
  if (cursor !== null && (after === '' || /\0|\uFFFD/.test(after))) return null
  const prefix = usernameKey(trimmedName(query))
  const end = endOf(prefix)
  // Two look-ups, each with its index and limited to the page. The range is needed too: a generic plan for `^@` uses no
  // index.
  const byName = sql`
    (select ${listed(db)}, a.username_key as key from ${table.account} a
    where ${name} ^@ ${prefix} and ${name} >= ${prefix} and ${name} > ${after} ${end === null ? sql`` : sql`and ${name} < ${end}`}
    order by ${name} limit ${limit + 1})`
  const byEmail = sql`
    (select ${listed(db)}, a.username_key as key from ${table.account} a
    where lower(a.email collate "C") = ${emailKey(query)} and ${name} > ${after} order by ${name} limit ${limit + 1})`
  const found = await rows<ListedUser & { key: string }>(db, sql`
    select * from (${byName} ${prefix === '' ? sql`` : sql`union ${byEmail}`}) found
    order by key collate "C" limit ${limit + 1}`)
  const page = found.slice(0, limit)
  return {
    users: page.map(({ key, ...user }) => user),
    nextCursor: found.length > limit ? Buffer.from(page.at(-1)!.key).toString('base64url') : null
  }
}

/** Returns the first text, in byte order, after all texts with this prefix; null if there is none. */
function endOf (prefix: string): string | null {
  const points = Array.from(prefix, (character) => character.codePointAt(0)!)
  const last = points.pop()
  if (last === undefined) return null
  const begin = String.fromCodePoint(...points)
  if (last === 0x10FFFF) return endOf(begin)
  return begin + String.fromCodePoint(last === 0xD7FF ? 0xE000 : last + 1)
}

export async function readUser (db: Db, id: string): Promise<ShownUser | undefined> {
  const { table } = db
  return await row<ShownUser>(db, sql`
    with ${now}
    select ${listed(db)}, a.phone, a.power_account_id as "powerAccountId", a.power_contact_id as "powerContactId",
      ${timeAs(sql`a.updated_at`, 'updatedAt')},
      u.failures, ${timeAs(sql`case when u.locked_until > now.at then u.locked_until end`, 'lockedUntil')}, ${isStopped} as "isStopped",
      u.setup_required as "setupRequired", ${timeAs(sql`u.setup_expires_at`, 'setupExpiresAt')},
      (select count(*) from ${table.otp_recovery_code} c where c.user_id = u.user_id and c.used_at is null
        and c.pending_device_id is null)::int as "recoveryCodesLeft"
    from ${table.account} a join ${table.otp_user} u on u.user_id = a.id::text, now
    where a.id = ${id}::uuid`)
}

/** Returns true if the account exists. A list of a missing account would be empty instead of an error. */
export async function hasUser (db: Db, id: string): Promise<boolean> {
  const { table } = db
  return await row(db, sql`select id from ${table.account} where id = ${id}::uuid`) !== undefined
}
