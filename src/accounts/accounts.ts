import { expressionBuilder, sql } from 'kysely'
import type { Origin, Lifetimes } from '../core/session.js'
import { amr } from '../core/assurance.js'
import { soughtKeys } from '../core/usernames.js'
import { isUniqueViolation } from '../postgres/errors.js'
import { remembered } from '../budgets/known-networks.js'
import { event, singleEvent } from '../events/insert.js'
import { endedIds, ending, readAt, sessionFacts } from '../sessions/statements.js'
import { now } from '../tables/values.js'
import { returned, type ConsumedGuess } from './password-budget.js'
import { deadlineOf } from '../sessions/policy.js'
import { committed, startedColumns, type CommittedSession } from '../sessions/replacement.js'
import { row, type Db, type Tables } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { timeAs } from '../tables/values.js'

/**
 * Limit of a user's sessions without a second factor: above any real number of browsers, and low enough to end all of them
 * in time. Verified sessions are not counted, because each one needed a code of its own.
 */
const MOST_UNVERIFIED = 100
/** Number of sessions that one log-in ends at most, where a user has more than the limit. */
const MOST_CROWDED_OUT = 1_000

export interface NewAccount {
  id: string
  username: string
  usernameKey: string
  passwordHash: string
  email: string
  /** Language of mails; null if the client named none with texts. */
  locale: string | null
  phone: string
  firstName: string
  lastName: string
}

export interface Account {
  id: string
  username: string
  email: string
  emailVerifiedAt: Date | null
  /** Address that replaces `email` once it is verified. */
  pendingEmail: string | null
  /** Language of mails; null if the user chose none. */
  locale: string | null
  phone: string
  firstName: string
  lastName: string
  powerAccountId: number | null
  powerContactId: number | null
  isOtpEnabled: boolean
  createdAt: Date
  updatedAt: Date
}

/** Inserts an account. Returns null if the username is taken. */
export async function insertAccount (db: Db, account: NewAccount, origin: Origin): Promise<{ createdAt: Date } | null> {
  const { table } = db
  try {
    const made = await row<{ createdAt: Date }>(db, sql`
      with ${now},
      made as (
        insert into ${table.account} (id, username, username_key, password_hash, is_active, is_staff, email, locale, phone, first_name,
          last_name, created_at, updated_at)
        select ${account.id}::uuid, ${account.username}, ${account.usernameKey}, ${account.passwordHash}, true, false,
          ${account.email}, ${account.locale}, ${account.phone}, ${account.firstName}, ${account.lastName}, now.at, now.at from now
        returning created_at
      ),
      context as (insert into ${table.otp_user} (user_id) values (${account.id})),
      ${singleEvent(db, { userId: sql`${account.id}`, kind: 'signed_up', sessionId: null, origin }, sql`now`)}
      select ${timeAs(sql`created_at`, 'createdAt')} from made`)
    return made!
  } catch (error) {
    if (isUniqueViolation(error)) return null
    throw error
  }
}

const selectByKey = statement('account_by_key', (db, p: Parameters<{ usernameKey: string }>) => db
  .selectFrom('account').select('id').where('username_key', '=', p.usernameKey))

/** Returns the key of the account for a typed username. A username in today's normal form needs no statement. */
export async function accountKey (db: Db, username: string): Promise<string> {
  const [asTyped, trimmed] = soughtKeys(username)
  if (asTyped === trimmed) return trimmed
  return await selectByKey.first(db, { usernameKey: asTyped }) === undefined ? trimmed : asTyped
}

const account = expressionBuilder<Tables & { a: Tables['account'] }, 'a'>()
/** Condition on an account `a`: it has a confirmed device. */
export const isOtpEnabled = account.exists(account.selectFrom('otp_device as d')
  .whereRef('d.user_id', '=', account.cast<string>('a.id', 'text')).where('d.confirmed_at', 'is not', null)).$castTo<boolean>()

const selectAccount = statement('read_account', (db, p: Parameters<{ id: string }>) => db.selectFrom('account as a').select((eb) => [
  'a.id', 'a.username', 'a.email', timeAs(eb.ref('a.email_verified_at'), 'emailVerifiedAt'), 'a.pending_email as pendingEmail', 'a.locale',
  'a.phone', 'a.first_name as firstName', 'a.last_name as lastName',
  'a.power_account_id as powerAccountId', 'a.power_contact_id as powerContactId',
  timeAs(eb.ref('a.created_at'), 'createdAt'), timeAs(eb.ref('a.updated_at'), 'updatedAt'), isOtpEnabled.as('isOtpEnabled')
]).where('a.id', '=', p.id))

export const readAccount = async (db: Db, id: string): Promise<Account | undefined> => await selectAccount.first(db, { id })

const selectUsername = statement('read_username', (db, p: Parameters<{ id: string }>) => db
  .selectFrom('account').select('username').where('id', '=', p.id))

/** Returns the name that an authenticator app shows beside the issuer. */
export const readUsername = async (db: Db, id: string): Promise<string | undefined> => (await selectUsername.first(db, { id }))?.username

export interface Login {
  userId: string
  /** `otp_user.version` when the password was checked. If it has changed since, the log-in is refused. */
  version: number
  sessionId: string
  nameDigest: string
  network: string
  /** Shared budget that counted this guess. */
  shared: ConsumedGuess['shared']
  /** New hash of the password, if its hash has outdated parameters. */
  rehash: string | null
  /** Digest of the set-up code that came with the password, if the user must give one; else null. */
  setupDigest: string | null
}

/**
 * Starts a session after a right password, unless the user was deactivated or the password or the factors changed since the
 * check. Clears this network's count for the account, and gives one guess back to the shared budget. If the user has no
 * second factor, the network becomes a known one.
 *
 * If staff reset the factors, this consumes the set-up code. The session's deadline is then its start, so the session can
 * only set up a device.
 *
 * Above `MOST_UNVERIFIED`, the new session evicts expired sessions, then the ones that are idle longest. It never evicts a
 * verified session: a requester with only the password must not end a session that needed more.
 */
export async function commitLogin (
  db: Db, login: Login, origin: Origin, { sessionSeconds, pendingSeconds }: Lifetimes
): Promise<CommittedSession | null> {
  const { table } = db
  return committed(await row(db, sql`
    with ${now},
    locked as (
      select u.user_id, u.setup_required, ${deadlineOf(db, sql`a`)} as otp_deadline
      from ${table.otp_user} u join ${table.account} a on a.id = ${login.userId}::uuid, now
      where u.user_id = ${login.userId} and u.version = ${login.version} and a.is_active
        and (not u.setup_required or (u.setup_digest = ${login.setupDigest} and u.setup_expires_at > now.at))
      for no key update of u
    ),
    person as (
      select user_id, setup_required, otp_deadline,
        exists (select from ${table.otp_device} d where d.user_id = locked.user_id and d.confirmed_at is not null) as otp_required
      from locked
    ),
    started as (
      insert into ${table.otp_session} ${startedColumns}
      select user_id, ${login.sessionId}, now.at,
        now.at + make_interval(
          secs => case when otp_required then ${Math.min(pendingSeconds, sessionSeconds)}::int else ${sessionSeconds}::int end),
        now.at, ${[...amr.password]}::text[], otp_required, null, null, now.at, ${origin.ip}, ${origin.agent},
        case when setup_required then now.at when not otp_required then otp_deadline end
      from person, now
      returning *
    ),
    surplus as (
      select s.id from ${table.otp_session} s, started, now
      where s.user_id = ${login.userId} and s.ended_at is null and s.otp_device_id is null
      order by s.expires_at > now.at desc, s.rotated_at desc offset ${MOST_UNVERIFIED - 1} limit ${MOST_CROWDED_OUT}
    ),
    ended as (
      update ${table.otp_session} s set ${ending('session_evicted')} from surplus, now
      where s.user_id = ${login.userId} and s.id = surplus.id and s.ended_at is null
      returning s.id
    ),
    used_up as (
      update ${table.otp_user} u set setup_digest = null, setup_expires_at = null from person
      where u.user_id = person.user_id and person.setup_required
    ),
    rehashed as (
      update ${table.account} a set password_hash = ${login.rehash} from started
      where a.id = ${login.userId}::uuid and ${login.rehash}::text is not null
    ),
    factorless as (select user_id from person where not otp_required and not setup_required),
    ${remembered(db, sql`factorless`, login.network, false)}
    ${returned(db, login, sql`select from started`)},
    ${event(db, {
      userId: sql`started.user_id`,
      kind: sql`case when person.setup_required then 'setup_code_used' else 'logged_in' end`,
      sessionId: login.sessionId,
      origin
    }, sql`started, person, now`)}
    select ${sessionFacts}, ${readAt}, ${endedIds}
    from started, now`))
}
