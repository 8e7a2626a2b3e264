import { expressionBuilder } from 'kysely'
import { isOtpEnabled } from '../accounts/accounts.js'
import { emailKey } from '../core/texts.js'
import { trimmedName } from '../core/normal-forms.js'
import { usernameKey } from '../core/usernames.js'
import { MAIL } from '../events/outbox.js'
import { isStopped } from '../factors/lockout-statements.js'
import type { Db, Tables } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { inByteOrder, timeAs, withNow, type Now } from '../tables/values.js'

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
  emailVerifiedAt: Date | null
  pendingEmail: string | null
  /** The mail server refused the address. */
  emailStoppedAt: Date | null
  /** A change of the address was undone: no link for a new password until a log-in. */
  passwordLinksStoppedAt: Date | null
  mailsWaiting: number
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

const account = expressionBuilder<Tables & { a: Tables['account'] }, 'a'>()
const listed = [
  'a.id', 'a.username', 'a.email', 'a.first_name as firstName', 'a.last_name as lastName', 'a.is_active as isActive',
  'a.is_staff as isStaff', isOtpEnabled.as('isOtpEnabled'), timeAs(account.ref('a.created_at'), 'createdAt')
] as const

/** Byte order, for which an index exists in every locale of the database. */
const name = inByteOrder(account.ref('a.username_key'))

interface Sought { prefix: string, end: string, email: string, after: string, limit: number }

/**
 * Makes the statement of a page. Two look-ups, each with its index and limited to the page. The range is needed too: a generic
 * plan for `^@` uses no index.
 *
 * @param isBounded true if there is an end of the range
 * @param isByEmail true if an e-mail address may equal the query
 */
const selectPage = (title: string, isBounded: boolean, isByEmail: boolean) => statement(title, (db, p: Parameters<Sought>) => db
  .with('by_name', (db) => db.selectFrom('account as a').select([...listed, 'a.username_key as key'])
    .where(account(name, '^@', p.prefix)).where(account(name, '>=', p.prefix)).where(account(name, '>', p.after))
    .$if(isBounded, (query) => query.where(account(name, '<', p.end)))
    .orderBy(name).limit(p.limit))
  .with('by_email', (db) => db.selectFrom('account as a').select([...listed, 'a.username_key as key'])
    .where(account.fn<string>('lower', [inByteOrder(account.ref('a.email'))]), '=', p.email).where(account(name, '>', p.after))
    .orderBy(name).limit(p.limit))
  .selectFrom((eb) => {
    const byName = eb.selectFrom('by_name').selectAll()
    return (isByEmail ? byName.union(eb.selectFrom('by_email').selectAll()) : byName).as('found')
  })
  .selectAll().orderBy((eb) => inByteOrder(eb.ref('key'))).limit(p.limit))

const everyUser = selectPage('list_users', false, false)
const usersInRange = selectPage('find_users', true, true)
const usersFrom = selectPage('find_users_to_the_end', false, true)

/**
 * Returns one page of the users whose name begins with `query` or whose e-mail address equals it, ordered by name. `query`
 * is not a pattern; an empty one finds every user.
 *
 * @param cursor of the page before, null for the first
 * @returns null if the cursor is invalid
 */
export async function findUsers (db: Db, query: string, limit: number, cursor: string | null): Promise<UserPage | null> {
  const after = cursor === null ? '' : Buffer.from(cursor, 'base64url').toString()
  if (cursor !== null && (after === '' || /\0|\uFFFD/.test(after))) return null
  const prefix = usernameKey(trimmedName(query))
  const end = endOf(prefix)
  const find = prefix === '' ? everyUser : end === null ? usersFrom : usersInRange
  const found = await find.all(db, { prefix, end: end ?? '', email: emailKey(query), after, limit: limit + 1 })
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

const context = expressionBuilder<{ u: Tables['otp_user'], now: Now }, 'u' | 'now'>()
/** Locks of an `otp_user u`, beside `now`. */
export const lockColumns = [
  context.ref('u.failures').as('failures'),
  timeAs(context.case().when('u.locked_until', '>', context.ref('now.at')).then(context.ref('u.locked_until')).end(), 'lockedUntil'),
  isStopped.$castTo<boolean>().as('isStopped'), context.ref('u.setup_required').as('setupRequired'),
  timeAs(context.ref('u.setup_expires_at'), 'setupExpiresAt')
] as const

const selectUser = statement('read_user', (db, p: Parameters<{ id: string }>) => withNow(db)
  .selectFrom('account as a').innerJoin('otp_user as u', (join) => join.onRef('u.user_id', '=', account.cast<string>('a.id', 'text')))
  .innerJoin('now', (join) => join.onTrue())
  .select((eb) => [
    ...listed, timeAs(eb.ref('a.email_verified_at'), 'emailVerifiedAt'), 'a.pending_email as pendingEmail',
    timeAs(eb.ref('a.email_stopped_at'), 'emailStoppedAt'), timeAs(eb.ref('a.password_links_stopped_at'), 'passwordLinksStoppedAt'),
    eb.cast<number>(eb.selectFrom('otp_delivery as m').select((eb) => eb.fn.countAll().as('mails'))
      .whereRef('m.user_id', '=', 'u.user_id').where('m.destination', '=', MAIL), 'integer').as('mailsWaiting'),
    'a.phone', 'a.power_account_id as powerAccountId', 'a.power_contact_id as powerContactId',
    timeAs(eb.ref('a.updated_at'), 'updatedAt'), ...lockColumns,
    eb.cast<number>(eb.selectFrom('otp_recovery_code as c').select((eb) => eb.fn.countAll().as('codes'))
      .whereRef('c.user_id', '=', 'u.user_id').where('c.used_at', 'is', null).where('c.pending_device_id', 'is', null), 'integer')
      .as('recoveryCodesLeft')
  ])
  .where('a.id', '=', p.id))

export const readUser = async (db: Db, id: string): Promise<ShownUser | undefined> => await selectUser.first(db, { id })

const selectId = statement('has_user', (db, p: Parameters<{ id: string }>) => db.selectFrom('account').select('id').where('id', '=', p.id))

/** Returns true if the account exists. A list of a missing account would be empty instead of an error. */
export const hasUser = async (db: Db, id: string): Promise<boolean> => await selectId.first(db, { id }) !== undefined
