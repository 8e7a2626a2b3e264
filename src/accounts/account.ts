import { randomUUID } from 'node:crypto'
import { missingAssurance } from '../core/assurance.js'
import { passwordFault, unacceptable, type PasswordRule } from '../core/passwords/password-rule.js'
import { normalisePassword } from '../core/passwords/passwords.js'
import { Refusal } from '../core/refusals.js'
import type { Seal } from '../core/keys/seal.js'
import type { Requester, AnsweredSession } from '../core/session.js'
import { readAccount, type Account } from './accounts.js'
import { listOauthProfiles, type OauthProfile } from './oauth-profile-statements.js'
import { commitPassword, deleteAccount, updateProfile, type ProfileChange } from './profile.js'
import { sessionEnded } from '../sessions/session-ended.js'
import { askPassword, type LoginDeps } from './log-in.js'

export interface AccountDeps extends LoginDeps {
  /** Highest age of a proof that counts as fresh, in seconds. */
  freshSeconds: number
  passwordRule: PasswordRule
  /** Seals what is mailed; null where no mails are sent. */
  mailSeal: Seal | null
}

export interface ShownAccount extends Account { oauthProfiles: OauthProfile[] }

/** Returns the account for its owner. */
export async function showAccount ({ db }: Pick<AccountDeps, 'db'>, userId: string): Promise<ShownAccount> {
  const account = await readAccount(db, userId)
  if (account === undefined) throw new Refusal('NOT_FOUND')
  return { ...account, oauthProfiles: await listOauthProfiles(db, userId) }
}

/**
 * Changes the profile. A new e-mail address or phone number needs a fresh proof. A new e-mail address also ends the user's
 * other sessions.
 */
export async function changeProfile (deps: AccountDeps, requester: Requester, change: ProfileChange): Promise<ShownAccount> {
  const { db, sessions, counters, freshSeconds, mailSeal } = deps
  const { context } = requester
  const isFresh = missingAssurance(context, { maxAge: freshSeconds }, sessions.nowSeconds()) === null
  const changed = await updateProfile(db, requester, change, isFresh, mailSeal)
  switch (changed.outcome) {
    case 'session_ended': throw sessionEnded(deps, requester)
    case 'stale': throw new Refusal('OTP_STALE', { maxAgeSeconds: freshSeconds })
    case 'changed':
      sessions.ended(context.userId, changed.endedIds)
      counters.count('sessions_ended_total', [changed.reason], changed.endedIds.length)
      return await showAccount(deps, context.userId)
  }
}

/**
 * Changes the password. The check of the current password uses the common budget of guesses. Both passwords are hashed
 * before the transaction begins; if the user changed in the meantime, this change is refused.
 *
 * @returns the session that replaces the requesting one: it has the proofs of the requesting token
 */
export async function changePassword (deps: AccountDeps, requester: Requester, current: string, next: string): Promise<AnsweredSession> {
  const { db, hasher, sessions, counters, passwordRule } = deps
  const { userId } = requester.context
  const account = await readAccount(db, userId)
  if (account === undefined) throw sessionEnded(deps, requester)
  const { username } = account
  const password = normalisePassword(next)
  const fault = await passwordFault(password, { username, names: [account.firstName, account.lastName] }, passwordRule)
  if (fault !== null) throw unacceptable(fault)
  const changed = await hasher.inTurn(async (turn) => {
    const { version } = await askPassword(deps, turn, username, current, requester)
    return await commitPassword(db, requester, await hasher.hash(password), version, randomUUID())
  }, deps.waiterOf(username, requester))
  switch (changed.outcome) {
    case 'session_ended': throw sessionEnded(deps, requester)
    case 'moved': throw new Refusal('CONFLICT')
    case 'changed': {
      const { session } = changed
      sessions.ended(userId, session.endedIds)
      sessions.started(session)
      counters.count('sessions_ended_total', ['password_changed'], session.endedIds.length)
      counters.count('sessions_started_total', ['password_changed'])
      return { ...session.context, otpMethods: session.otpMethods }
    }
  }
}

/** Deletes the account and all data of the user. Ends every session, the requesting one included. */
export async function removeAccount (deps: AccountDeps, requester: Requester): Promise<void> {
  const { db, sessions, counters } = deps
  const endedIds = await deleteAccount(db, requester)
  if (endedIds === null) throw sessionEnded(deps, requester)
  sessions.ended(requester.context.userId, endedIds)
  counters.count('sessions_ended_total', ['account_deleted'], endedIds.length)
}
