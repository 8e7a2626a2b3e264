import { randomUUID } from 'node:crypto'
import { expressionBuilder } from 'kysely'
import type { Counters } from '../../core/counters.js'
import { passwordFault, unacceptable, type PasswordRule } from '../../core/passwords/password-rule.js'
import { normalisePassword } from '../../core/passwords/passwords.js'
import { Refusal } from '../../core/refusals.js'
import type { Seal } from '../../core/keys/seal.js'
import type { ClientOrigin } from '../../core/session.js'
import { writeEvent } from '../../events/insert.js'
import { linkDigest } from '../../events/mail/message.js'
import { endEverySession } from '../../sessions/ending.js'
import type { Sessions } from '../../sessions/liveness.js'
import { hasLoggedInSince } from '../../sessions/logged-in-since.js'
import type { Db, Tables } from '../../tables/db.js'
import { statement, type Parameters } from '../../tables/statement.js'
import { inTransaction, lockUser } from '../../tables/transaction.js'
import { clock } from '../../tables/values.js'
import { accountKey, readAccount } from '../accounts.js'
import type { Hasher } from '../hasher.js'
import type { WaiterOf } from '../waiters.js'
import { deleteLinks, mailLink, readLink, takeLink } from './links.js'
import { raiseVersion } from './mailbox.js'

export interface PasswordResetDeps {
  db: Db
  seal: Seal
  hasher: Hasher
  waiterOf: WaiterOf
  sessions: Pick<Sessions, 'ended'>
  counters: Counters
  passwordRule: PasswordRule
}

const account = expressionBuilder<Tables & { a: Tables['account'] }, 'a'>()
const userId = account.cast<string>('a.id', 'text')

const hasFactor = account.exists(account.selectFrom('otp_device as d').select('d.id')
  .where('d.user_id', '=', userId).where('d.confirmed_at', 'is not', null))

const selectRecipient = statement('password_link_recipient', (db, p: Parameters<{ usernameKey: string }>) => db.selectFrom('account as a')
  .innerJoin('otp_user as u', (join) => join.on('u.user_id', '=', userId))
  .where('a.username_key', '=', p.usernameKey)
  .select((eb) => [
    'a.id', 'a.email', 'u.version',
    eb.and([
      eb('a.is_active', '=', true), eb('a.email_verified_at', 'is not', null), eb('a.email_stopped_at', 'is', null),
      eb.or([eb('a.password_links_stopped_at', 'is', null), hasLoggedInSince])
    ]).$castTo<boolean>().as('mayReceive'),
    eb.and([eb('a.is_staff', '=', true), eb.not(hasFactor)]).$castTo<boolean>().as('isStaffWithoutFactor')
  ]))

/**
 * Mails a link for a new password, if the name has an account with a verified address. A name without one, and one that has as many
 * links as there may be, cost the same statements and the same rows.
 */
export async function askPasswordReset ({ db, seal, counters }: PasswordResetDeps, username: string): Promise<void> {
  const found = await selectRecipient.first(db, { usernameKey: await accountKey(db, username) })
  const recipient = found?.mayReceive === true ? found : { id: randomUUID(), email: '', version: 0, isStaffWithoutFactor: false }
  const purpose = recipient.isStaffWithoutFactor ? 'reset_password_staff' : 'reset_password'
  await mailLink(db, seal, { userId: recipient.id, purpose, email: recipient.email, version: recipient.version, isHidden: true })
  counters.count('password_resets_total', ['asked'])
}

interface NewPassword { userId: string, email: string, version: number, since: Date, passwordHash: string }

const setPassword = statement('reset_password', (db, p: Parameters<NewPassword>) => db.updateTable('account as a')
  .set({ password_hash: p.passwordHash, updated_at: clock })
  .where('a.id', '=', p.userId).where('a.is_active', '=', true).where('a.email', '=', p.email).where('a.email_verified_at', 'is not', null)
  .where((eb) => eb.exists(eb.selectFrom('otp_user as u').select('u.user_id')
    .where('u.user_id', '=', userId).where('u.version', '=', p.version)))
  // A second factor was verified meanwhile: the user has the account in hand.
  .where((eb) => eb.not(eb.exists(eb.selectFrom('otp_session as s').select('s.id')
    .where('s.user_id', '=', userId).where('s.otp_at', '>=', p.since)))))

const forgetNetworks = statement('forget_networks', (db, p: Parameters<{ userId: string }>) => db
  .deleteFrom('account_network').where('user_id', '=', p.userId))

/**
 * Sets a new password by a link. Every session ends and none starts: the second factor, its locks and budgets stay as they are.
 *
 * @throws {Refusal} LINK_INVALID, also if the user verified a second factor, or password, address or factors changed, since the link
 * was made; PASSWORD_UNACCEPTABLE, which does not use up the link
 */
export async function resetPassword (deps: PasswordResetDeps, token: string, next: string, origin: ClientOrigin): Promise<void> {
  const { db, hasher, waiterOf, sessions, counters, passwordRule } = deps
  const sought = { digest: linkDigest(token), purpose: 'reset_password' } as const
  const found = await readLink(db, sought)
  if (found === null) throw refused(counters)
  const { userId, username } = found
  const password = normalisePassword(next)
  const { firstName = '', lastName = '' } = await readAccount(db, userId) ?? {}
  const fault = await passwordFault(password, { username, names: [firstName, lastName] }, passwordRule)
  if (fault !== null) throw unacceptable(fault)
  const passwordHash = await hasher.inTurn(() => hasher.hash(password), waiterOf(username, origin))
  const endedIds = await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const link = await takeLink(tx, sought)
    if (link === null) return null
    const { email, version, createdAt: since } = link
    if (await setPassword.changed(tx, { userId, email, version, since, passwordHash }) === 0) return null
    await raiseVersion(tx, userId)
    await deleteLinks(tx, userId, ['reset_password', 'reset_password_staff'])
    await forgetNetworks.changed(tx, { userId })
    await writeEvent(tx, { userId, kind: 'password_reset', sessionId: null, origin })
    return await endEverySession(tx, userId, 'password_reset')
  })
  if (endedIds === null) throw refused(counters)
  sessions.ended(userId, endedIds)
  counters.count('password_resets_total', ['used'])
  counters.count('sessions_ended_total', ['password_reset'], endedIds.length)
}

function refused (counters: Counters): Refusal {
  counters.count('password_resets_total', ['refused'])
  return new Refusal('LINK_INVALID')
}
