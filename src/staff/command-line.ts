import { sql } from 'kysely'
import type { Origin } from '../core/session.js'
import { standardTotp } from '../core/totp.js'
import { insertAccount, type NewAccount } from '../accounts/accounts.js'
import { forgotten } from '../budgets/known-networks.js'
import { singleEvent } from '../events/insert.js'
import { lockColumns } from './users.js'
import { ending } from '../sessions/statements.js'
import { now } from '../tables/values.js'
import { row, type Db } from '../tables/db.js'
import { inTransaction, lockUser } from '../tables/transaction.js'
import { statement, type Parameters } from '../tables/statement.js'
import { clock, later, numberAs, timeAs, unixSeconds, withNow } from '../tables/values.js'

/** Command line actions have no address. */
const ORIGIN: Origin = { ip: '', agent: 'command line' }
const ACTOR = 'command line'

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

/** Device that was confirmed by a code, and its recovery codes. */
export interface FirstDevice {
  id: string
  name: string
  sealedSecret: string
  /** Step of that code, which is consumed. */
  step: number
  digests: string[]
}

/** Digest of a set-up code that must come with the password, and its lifetime in seconds. */
export interface Setup { digest: string, seconds: number }

export interface NewUser {
  account: NewAccount
  isStaff: boolean
  device: FirstDevice | null
  setup: Setup | null
}

const requireSetup = statement('require_setup', (db, p: Parameters<{ userId: string } & Setup>) => db
  .updateTable('otp_user').set({ setup_required: true, setup_digest: p.digest, setup_expires_at: later(clock, p.seconds) })
  .where('user_id', '=', p.userId).returning((eb) => timeAs(eb.ref('setup_expires_at').$notNull(), 'expiresAt')))

/** Creates an account in one transaction, with a second factor, a set-up code, or neither. Returns null if the username is taken. */
export async function createUser (
  db: Db, { account, isStaff, device, setup }: NewUser
): Promise<{ createdAt: Date, setupExpiresAt: Date | null } | null> {
  return await inTransaction(db, async (tx) => {
    const inserted = await insertAccount(tx, account, ORIGIN)
    if (inserted === null) return null
    const { table } = tx
    if (isStaff) {
      await row(tx, sql`
        with ${now},
        promoted as (update ${table.account} set is_staff = true where id = ${account.id}::uuid),
        ${singleEvent(tx, {
          userId: sql`${account.id}`, kind: 'promoted', sessionId: null, origin: ORIGIN, actorId: ACTOR
        }, sql`now`)}
        select from now`)
    }
    const required = setup === null
      ? undefined
      : await requireSetup.first(tx, { userId: account.id, ...setup })
    const made = { ...inserted, setupExpiresAt: required?.expiresAt ?? null }
    if (device === null) return made
    await row(tx, sql`
      with ${now},
      device as (
        insert into ${table.otp_device} (user_id, id, name, created_at, confirmed_at)
        select ${account.id}, ${device.id}::uuid, ${device.name}, now.at, now.at from now
      ),
      totp as (
        insert into ${table.otp_totp} (user_id, device_id, secret, digits, period_seconds, t0_seconds, last_step, last_used_at)
        select ${account.id}, ${device.id}::uuid, ${device.sealedSecret}, ${standardTotp.digits}::int, ${standardTotp.periodSeconds}::int,
          ${standardTotp.t0Seconds}::int, ${device.step}::int, now.at from now
      ),
      codes as (
        insert into ${table.otp_recovery_code} (user_id, digest, created_at)
        select ${account.id}, digest, now.at from unnest(${device.digests}::text[]) digest, now
      ),
      ${singleEvent(tx, {
        userId: sql`${account.id}`,
        kind: 'otp_enabled',
        sessionId: null,
        origin: ORIGIN,
        deviceName: sql`${device.name}`,
        actorId: ACTOR
      }, sql`now`)}
      select from now`)
    return made
  })
}

/** Sets a new password. Pending checks of the old password are refused, and every session ends. */
export async function setPassword (db: Db, userId: string, passwordHash: string): Promise<{ endedSessions: number }> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const { table } = tx
    const changed = await row<{ endedSessions: number }>(tx, sql`
      with ${now},
      raised as (
        update ${table.otp_user} u set version = u.version + 1 where u.user_id = ${userId} returning u.user_id
      ),
      hashed as (
        update ${table.account} a set password_hash = ${passwordHash}, updated_at = now.at from raised, now where a.id = ${userId}::uuid
      ),
      ended as (
        update ${table.otp_session} s set ${ending('password_changed')}
        from raised, now where s.user_id = raised.user_id and s.ended_at is null
        returning s.id
      ),
      ${forgotten(tx, sql`raised`, userId)},
      ${singleEvent(tx, {
        userId: sql`raised.user_id`, kind: 'password_changed', sessionId: null, origin: ORIGIN, actorId: ACTOR
      }, sql`raised, now`)}
      select (select count(*) from ended)::int as "endedSessions" from raised`)
    return changed!
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
