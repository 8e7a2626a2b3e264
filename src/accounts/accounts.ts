import { expressionBuilder, sql } from 'kysely'
import type { Origin, Lifetimes } from '../core/session.js'
import { soughtKeys } from '../core/usernames.js'
import { isUniqueViolation } from '../postgres/errors.js'
import { addressed, withRemembered } from '../budgets/known-networks.js'
import { withEvent, withSingleEvent } from '../events/insert.js'
import { withStarted } from '../sessions/start.js'
import { endedIds, readColumns, sessionColumns } from '../sessions/statements.js'
import { withReturned, type ConsumedGuess } from './password-budget.js'
import { deadlineOf } from '../sessions/policy.js'
import { committed, type CommittedSession } from '../sessions/replacement.js'
import type { Db, Tables } from '../tables/db.js'
import { insertFrom } from '../tables/insert-from.js'
import { statement, type Parameters } from '../tables/statement.js'
import { textOf, timeAs, typed, uuidOf, withNow } from '../tables/values.js'

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

const insert = statement('insert_account', (db, p: Parameters<NewAccount & Origin>, facts) => withSingleEvent(withNow(db)
  .with('made', (db) => insertFrom(db, 'account', (db) => db.selectFrom('now'), (eb) => ({
    id: typed(p.id, 'uuid'),
    username: textOf(p.username),
    username_key: textOf(p.usernameKey),
    password_hash: textOf(p.passwordHash),
    is_active: typed(true, 'boolean'),
    is_staff: typed(false, 'boolean'),
    email: textOf(p.email),
    locale: textOf(p.locale),
    phone: textOf(p.phone),
    first_name: textOf(p.firstName),
    last_name: textOf(p.lastName),
    created_at: eb.ref('now.at'),
    updated_at: eb.ref('now.at')
  })).returning('created_at'))
  .with('context', (db) => db.insertInto('otp_user').values({ user_id: p.id })),
facts, (db) => db.selectFrom('now'), () => ({ userId: p.id, kind: 'signed_up', sessionId: null, ip: p.ip, agent: p.agent }))
  .selectFrom('made').select((eb) => timeAs(eb.ref('made.created_at'), 'createdAt')))

/** Inserts an account. Returns null if the username is taken. */
export async function insertAccount (db: Db, account: NewAccount, { ip, agent }: Origin): Promise<{ createdAt: Date } | null> {
  try {
    return (await insert.first(db, { ...account, ip, agent }))!
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

/** Values of a log-in. */
type LoginValues = Login & Lifetimes & Origin & { addressed: string | null }

const commit = statement('commit_login', (db, p: Parameters<LoginValues>, facts) => {
  const decided = withNow(db)
    .with('locked', (db) => db.selectFrom(['otp_user as u', 'now'])
      .innerJoin('account as a', (join) => join.on('a.id', '=', uuidOf(p.userId)))
      .select(['u.user_id', 'u.setup_required', deadlineOf(facts, sql.ref('a')).as('otp_deadline')])
      .where('u.user_id', '=', p.userId).where('u.version', '=', p.version).where('a.is_active', '=', true)
      .where((eb) => eb.or([
        eb('u.setup_required', '=', false),
        eb.and([eb('u.setup_digest', '=', p.setupDigest), eb('u.setup_expires_at', '>', eb.ref('now.at'))])
      ]))
      .forNoKeyUpdate('u'))
    .with('person', (db) => db.selectFrom('locked').select((eb) => [
      'user_id', 'setup_required', 'otp_deadline',
      eb.exists(eb.selectFrom('otp_device as d').whereRef('d.user_id', '=', 'locked.user_id').where('d.confirmed_at', 'is not', null))
        .$castTo<boolean>().as('otp_required')
    ]))
  const settled = withStarted(decided, p)
    .with('used_up', (db) => db.updateTable('otp_user as u').from('person').set({ setup_digest: null, setup_expires_at: null })
      .whereRef('u.user_id', '=', 'person.user_id').where('person.setup_required', '=', true))
    .with('rehashed', (db) => db.updateTable('account as a').from('started').set({ password_hash: p.rehash as string })
      .where('a.id', '=', uuidOf(p.userId)).where(textOf(p.rehash), 'is not', null))
    .with('factorless', (db) => db.selectFrom('person').select('user_id')
      .where('otp_required', '=', false).where('setup_required', '=', false))
  const returned = withReturned(withRemembered(settled, facts, 'factorless', p.addressed, false), p, 'started')
  return withEvent(returned, facts,
    (db) => db.selectFrom(['started', 'person', 'now']), (eb) => ({
      userId: eb.ref('started.user_id'),
      kind: eb.case().when('person.setup_required', '=', true).then('setup_code_used').else('logged_in').end(),
      sessionId: p.sessionId,
      ip: p.ip,
      agent: p.agent
    })).selectFrom(['started', 'now']).select([...sessionColumns, ...readColumns, endedIds])
})

/**
 * Starts a session after a right password, unless the user was deactivated or the password or the factors changed since the
 * check. Clears this network's count for the account, and gives one guess back to the shared budget. If the user has no
 * second factor, the network becomes a known one.
 *
 * If staff reset the factors, this consumes the set-up code. The session's deadline is then its start, so the session can
 * only set up a device.
 */
export async function commitLogin (
  db: Db, login: Login, { ip, agent }: Origin, { sessionSeconds, pendingSeconds }: Lifetimes
): Promise<CommittedSession | null> {
  return committed(await commit.first(db, {
    ...login, ip, agent, sessionSeconds, pendingSeconds: Math.min(pendingSeconds, sessionSeconds), addressed: addressed(login.network)
  }))
}
