import type { Origin } from '../core/session.js'
import { insertAccount, type NewAccount } from '../accounts/accounts.js'
import { withForgotten } from '../budgets/known-networks.js'
import { withSingleEvent } from '../events/insert.js'
import { enrolProven, type ProvenDevice } from '../factors/enrolment.js'
import { lockColumns } from './users.js'
import { withEnded } from '../sessions/ending.js'
import { withMarkBehind } from '../sessions/marks.js'
import type { Db } from '../tables/db.js'
import { inTransaction, lockUser } from '../tables/transaction.js'
import { statement, type Parameters } from '../tables/statement.js'
import { clock, later, numberAs, timeAs, unixSeconds, uuidOf, withNow } from '../tables/values.js'

/** Command line actions have no address. */
const ORIGIN: Origin = { ip: '', agent: 'command line' }
const ACTOR = 'command line'
/** Columns of its events. */
const byCommandLine = { sessionId: null, ...ORIGIN, actorId: ACTOR } as const

const selectByKey = statement('find_user', (db, p: Parameters<{ key: string }>) => db
  .selectFrom('account').select(['id', 'username', 'is_active as isActive']).where('username_key', '=', p.key))

/**
 * Finds a user by name.
 *
 * @param key result of `usernameKey`
 */
export const findUser = async (db: Db, key: string): Promise<{ id: string, username: string, isActive: boolean } | undefined> =>
  await selectByKey.first(db, { key })

const selectNow = statement('read_now', (db) => db.selectNoFrom(numberAs(unixSeconds(clock), 'now')))

/** Returns PostgreSQL's time in Unix seconds. */
export const readNowSeconds = async (db: Db): Promise<number> => (await selectNow.first(db))!.now

/** Digest of a set-up code that must come with the password, and its lifetime in seconds. */
export interface Setup { digest: string, seconds: number }

export interface NewUser {
  account: NewAccount
  isStaff: boolean
  device: ProvenDevice | null
  setup: Setup | null
}

const requireSetup = statement('require_setup', (db, p: Parameters<{ userId: string } & Setup>) => db
  .updateTable('otp_user').set({ setup_required: true, setup_digest: p.digest, setup_expires_at: later(clock, p.seconds) })
  .where('user_id', '=', p.userId).returning((eb) => timeAs(eb.ref('setup_expires_at').$notNull(), 'expiresAt')))

const promote = statement('promote_new', (db, p: Parameters<{ userId: string }>, facts) => withSingleEvent(withNow(db)
  .with('promoted', (db) => db.updateTable('account').set({ is_staff: true }).where('id', '=', p.userId)),
facts, (db) => db.selectFrom('now'), () => ({ ...byCommandLine, userId: p.userId, kind: 'promoted' })).selectFrom('now'))

/** Creates an account in one transaction, with a second factor, a set-up code, or neither. Returns null if the username is taken. */
export async function createUser (
  db: Db, { account, isStaff, device, setup }: NewUser
): Promise<{ createdAt: Date, setupExpiresAt: Date | null } | null> {
  return await inTransaction(db, async (tx) => {
    const inserted = await insertAccount(tx, account, ORIGIN)
    if (inserted === null) return null
    if (isStaff) await promote.all(tx, { userId: account.id })
    const required = setup === null
      ? undefined
      : await requireSetup.first(tx, { userId: account.id, ...setup })
    const made = { ...inserted, setupExpiresAt: required?.expiresAt ?? null }
    if (device === null) return made
    await enrolProven(tx, device, { ...ORIGIN, userId: account.id, actorId: ACTOR })
    return made
  })
}

const changePassword = statement('set_password', (db, p: Parameters<{ userId: string, passwordHash: string }>, facts) => {
  const raised = withNow(db)
    .with('raised', (db) => db.updateTable('otp_user').set((eb) => ({ version: eb('version', '+', 1) }))
      .where('user_id', '=', p.userId).returning('user_id'))
    .with('hashed', (db) => db.updateTable('account as a').from(['raised', 'now'])
      .set((eb) => ({ password_hash: p.passwordHash, updated_at: eb.ref('now.at') })).where('a.id', '=', uuidOf(p.userId)))
  return withSingleEvent(
    withForgotten(withEnded(withMarkBehind(raised, facts, 'raised', p.userId), 'raised', p.userId, 'password_changed'), 'raised', p.userId),
    facts,
    (db) => db.selectFrom(['raised', 'now']), () => ({ ...byCommandLine, userId: p.userId, kind: 'password_changed' })
  ).selectFrom('raised').select((eb) => eb.cast<number>(
    eb.selectFrom('ended').select((eb) => eb.fn.countAll().as('sessions')), 'integer').as('endedSessions'))
})

/** Sets a new password. Pending checks of the old password are refused, and every session ends. */
export async function setPassword (db: Db, userId: string, passwordHash: string): Promise<{ endedSessions: number }> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    return (await changePassword.first(tx, { userId, passwordHash }))!
  })
}

export interface OtpState {
  recoveryCodesLeft: number
  recoveryCodesWeak: boolean
  /** Number of codes consumed since the last accepted one. */
  failures: number
  lockedUntil: Date | null
  /** True if wrong codes stopped authenticator codes, until a recovery code is used or the account is unlocked. */
  isStopped: boolean
  setupRequired: boolean
  /** Time until which the set-up code is valid; null if there is none. */
  setupExpiresAt: Date | null
}

const selectOtpState = statement('read_otp_state', (db, p: Parameters<{ userId: string }>) => withNow(db)
  .with('codes', (db) => db.selectFrom('otp_recovery_code').select('weak')
    .where('user_id', '=', p.userId).where('used_at', 'is', null).where('pending_device_id', 'is', null))
  .selectFrom(['otp_user as u', 'now'])
  .select((eb) => [
    eb.cast<number>(eb.selectFrom('codes').select((eb) => eb.fn.countAll().as('codes')), 'integer').as('recoveryCodesLeft'),
    eb.exists(eb.selectFrom('codes').where('weak', '=', true)).$castTo<boolean>().as('recoveryCodesWeak'), ...lockColumns
  ])
  .where('u.user_id', '=', p.userId))

export const readOtpState = async (db: Db, userId: string): Promise<OtpState> => (await selectOtpState.first(db, { userId }))!
