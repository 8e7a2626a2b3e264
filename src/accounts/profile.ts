import type { Language } from '../core/notices/texts.js'
import type { Requester } from '../core/session.js'
import { withForgotten } from '../budgets/known-networks.js'
import {
  carriedValues, committed, replacementValues, selectAnswer, selectRequester, withCarriedOn, withEndedFor, type CarriedValues,
  type CommittedSession, type ReplacementValues
} from '../sessions/replacement.js'
import { byRequester, requesterValues, withEvent, withSingleEvent, type RequesterValues } from '../events/insert.js'
import { awaitsDelivery } from '../events/outbox.js'
import { emptyEnded, endEmptied, endingSession, withEnded } from '../sessions/ending.js'
import { withMarkBehind } from '../sessions/marks.js'
import { endedIds, livesNow, selectLiving } from '../sessions/statements.js'
import { statement, type Parameters } from '../tables/statement.js'
import { textOf, typed, uuidOf, withNow } from '../tables/values.js'
import type { Db } from '../tables/db.js'
import { inTransaction, lockUser } from '../tables/transaction.js'
import type { Seal } from '../core/keys/seal.js'
import { noteNewEmail } from './mail/address-change.js'
import { deleteLinks, forgetMails } from './mail/links.js'
import { readMailbox } from './mail/mailbox.js'

export interface ProfileChange {
  email?: string
  phone?: string
  firstName?: string
  lastName?: string
  /** Language of mails. */
  locale?: Language
}

export type ChangedProfile = { outcome: 'changed', reason: 'email_changed' | 'email_change_asked', endedIds: string[] } |
  { outcome: 'session_ended' | 'stale' }

interface ChangeValues extends RequesterValues {
  email: string | null
  /** Address to store; null if it stays until the new one is verified. */
  storedEmail: string | null
  isAwaited: boolean
  phone: string | null
  firstName: string | null
  lastName: string | null
  locale: string | null
  isFresh: boolean
  kind: 'email_changed' | 'email_change_asked'
}

const change = statement('change_profile', (db, p: Parameters<ChangeValues>, facts) => {
  const changed = withNow(db)
    .with('living', (db) => selectLiving(db, p))
    .with('requester', (db) => db.selectFrom('living').innerJoin('account as a', (join) => join.on('a.id', '=', uuidOf(p.userId)))
      .select((eb) => [
        'living.user_id', eb('a.email', '<>', eb.fn.coalesce(textOf(p.email), 'a.email')).$castTo<boolean>().as('new_email'),
        eb('a.phone', '<>', eb.fn.coalesce(textOf(p.phone), 'a.phone')).$castTo<boolean>().as('new_phone')
      ]))
    .with('allowed', (db) => db.selectFrom('requester').selectAll()
      .where((eb) => eb.or([typed(p.isFresh, 'boolean'), eb.not(eb.or([eb.ref('new_email'), eb.ref('new_phone')]))])))
    .with('moving', (db) => db.selectFrom('allowed').select('user_id').where((eb) => eb.ref('new_email')))
    .with('changed', (db) => db.updateTable('account as a').from(['allowed', 'now'])
      .set((eb) => {
        const stays = eb.or([typed(p.isAwaited, 'boolean'), eb.not(eb.ref('allowed.new_email'))])
        return {
          email: eb.fn.coalesce(textOf(p.storedEmail), 'a.email'),
          pending_email: eb.case().when(textOf(p.email), 'is', null).then(eb.ref('a.pending_email')).end(),
          email_verified_at: eb.case().when(stays).then(eb.ref('a.email_verified_at')).end(),
          email_stopped_at: eb.case().when(stays).then(eb.ref('a.email_stopped_at')).end(),
          phone: eb.fn.coalesce(textOf(p.phone), 'a.phone'),
          first_name: eb.fn.coalesce(textOf(p.firstName), 'a.first_name'),
          last_name: eb.fn.coalesce(textOf(p.lastName), 'a.last_name'),
          locale: eb.fn.coalesce(textOf(p.locale), 'a.locale'),
          updated_at: eb.ref('now.at')
        }
      })
      .where('a.id', '=', uuidOf(p.userId)).returning('a.id'))
    .with('raised', (db) => db.updateTable('otp_user as u').from('moving')
      .set((eb) => ({ version: eb('u.version', '+', 1) })).whereRef('u.user_id', '=', 'moving.user_id'))
  const ended = withEnded(changed, 'moving', p.userId, p.kind, endingSession('s.id', '<>', p.sessionId))
  const written = withEvent(ended, facts, (db) => db.selectFrom(['moving', 'now']), () => ({ ...byRequester(p), kind: p.kind }))
  return withEvent(written, facts, (db) => db.selectFrom(['allowed', 'now']).where((eb) => eb.ref('allowed.new_phone')),
    () => ({ ...byRequester(p), kind: 'phone_changed' }), 'phone_event')
    .selectFrom('requester')
    .select((eb) => [
      eb.exists(eb.selectFrom('changed')).$castTo<boolean>().as('changed'), 'requester.new_email as isNewEmail', endedIds
    ])
})

/**
 * Changes the given fields. A new e-mail address or phone number needs a fresh proof, because account recovery uses both,
 * and leaves an event. A new e-mail address also raises the user's version and ends the other sessions. An equal value is
 * not a change. Names need no proof and leave no event.
 *
 * Where mails are sent, a verified address stays until the new one is verified too; it gets a link that undoes the change.
 *
 * @param isFresh true if the requesting session may change address and number
 * @param seal seals what is mailed; null where no mails are sent: then an address is replaced at once
 */
export async function updateProfile (
  db: Db, requester: Requester, { email, phone, firstName, lastName, locale }: ProfileChange, isFresh: boolean, seal: Seal | null
): Promise<ChangedProfile> {
  return await inTransaction(db, async (tx) => {
    const values = requesterValues(requester)
    const { userId } = values
    await lockUser(tx, userId)
    const before = await readMailbox(tx, userId)
    const isAwaited = seal !== null && before?.isVerified === true && email !== undefined
    const kind = isAwaited ? 'email_change_asked' : 'email_changed'
    const found = await change.first(tx, {
      ...values,
      email: email ?? null,
      storedEmail: isAwaited ? null : email ?? null,
      isAwaited,
      phone: phone ?? null,
      firstName: firstName ?? null,
      lastName: lastName ?? null,
      locale: locale ?? null,
      isFresh,
      kind
    })
    if (found === undefined) return { outcome: 'session_ended' }
    if (!found.changed) return { outcome: 'stale' }
    if (found.isNewEmail && isAwaited) await noteNewEmail(tx, seal, userId, before, email)
    else if (found.isNewEmail) await deleteLinks(tx, userId, ['verify_email', 'reset_password', 'reset_password_staff'])
    return { outcome: 'changed', reason: kind, endedIds: found.endedIds }
  })
}

export type ChangedPassword = { outcome: 'changed', session: CommittedSession } | { outcome: 'session_ended' | 'moved' }

type PasswordValues = ReplacementValues & CarriedValues & { passwordHash: string, version: number }

const setPassword = statement('change_password', (db, p: Parameters<PasswordValues>, facts) => {
  const changed = withNow(db).with('requester', (db) => selectRequester(db, p)
    .innerJoin('otp_user as u', 'u.user_id', 's.user_id')
    .innerJoin('account as a', (join) => join.on('a.id', '=', uuidOf(p.userId)))
    .select((eb) => [eb.lit(false).as('stays'), 's.expires_at as until'])
    .where('u.version', '=', p.version).where('a.is_active', '=', true).forNoKeyUpdate('s'))
    .with('changed', (db) => db.updateTable('account as a').from(['requester', 'now'])
      .set((eb) => ({ password_hash: p.passwordHash, updated_at: eb.ref('now.at') })).where('a.id', '=', uuidOf(p.userId))
      .returning(['requester.user_id', 'requester.id']))
    .with('raised', (db) => db.updateTable('otp_user as u').from('changed')
      .set((eb) => ({ version: eb('u.version', '+', 1) })).whereRef('u.user_id', '=', 'changed.user_id'))
  const ended = withCarriedOn(withEndedFor(changed, 'changed', p, 'password_changed', 'all'), 'changed', p)
  const written = withEvent(withForgotten(ended, 'changed', p.userId, p.network), facts,
    (db) => db.selectFrom(['changed', 'now']), () => ({ ...byRequester(p), kind: 'password_changed' }))
  return selectAnswer(written, p.userId, { kept: false })
})

/**
 * Sets a new password, if the user has not changed since the check. Every session ends. A new session with the proofs of
 * the requesting token replaces the requesting one.
 *
 * @param version `otp_user.version` when the current password was checked
 * @returns `moved` if the version has changed
 */
export async function commitPassword (
  db: Db, requester: Requester, passwordHash: string, version: number, newSessionId: string
): Promise<ChangedPassword> {
  return await inTransaction(db, async (tx) => {
    await lockUser(tx, requester.context.userId)
    const values = { ...replacementValues(requester, newSessionId), network: requester.network, ...carriedValues(requester) }
    const session = committed(await setPassword.first(tx, { ...values, passwordHash, version }))
    if (session !== null) return { outcome: 'changed', session }
    return { outcome: await livesNow(tx, values) ? 'moved' : 'session_ended' }
  })
}

const remove = statement('delete_account', (db, p: Parameters<RequesterValues>, facts) => {
  const ended = withNow(db)
    .with('requester', (db) => selectLiving(db, p))
    .with('ended', (db) => endEmptied(db, p.userId))
    .with('emptied', (db) => emptyEnded(db, p.userId))
  const deleted = withMarkBehind(ended, facts, 'requester', p.userId)
    .with('devices', (db) => db.deleteFrom('otp_device as d').using('requester').whereRef('d.user_id', '=', 'requester.user_id'))
    .with('challenges', (db) => db.deleteFrom('otp_challenge as c').using('requester').whereRef('c.user_id', '=', 'requester.user_id'))
    .with('codes', (db) => db.deleteFrom('otp_recovery_code as c').using('requester').whereRef('c.user_id', '=', 'requester.user_id'))
    .with('events', (db) => db.deleteFrom('otp_event as e').using('requester').whereRef('e.user_id', '=', 'requester.user_id')
      .where((eb) => eb.not(awaitsDelivery)))
    .with('mails', (db) => db.deleteFrom('otp_delivery as d').using('requester').whereRef('d.user_id', '=', 'requester.user_id')
      .where('d.event_id', 'is', null))
    .with('counters', (db) => db.deleteFrom('otp_event_counter as c').using('requester').whereRef('c.user_id', '=', 'requester.user_id'))
    .with('profiles', (db) => db.deleteFrom('account_oauth_profile as o').using('requester')
      .whereRef('o.user_id', '=', 'requester.user_id'))
    .with('networks', (db) => db.deleteFrom('account_network as n').using('requester').whereRef('n.user_id', '=', 'requester.user_id'))
    .with('person', (db) => db.deleteFrom('account as a').using('requester').where('a.id', '=', uuidOf(p.userId)))
    .with('context', (db) => db.deleteFrom('otp_user as u').using('requester').whereRef('u.user_id', '=', 'requester.user_id'))
  return withSingleEvent(
    deleted, facts, (db) => db.selectFrom(['requester', 'now']), () => ({ ...byRequester(p), kind: 'account_deleted' })
  ).selectFrom('requester').select(endedIds)
})

/**
 * Deletes the account and all data of the user. The username becomes free. These rows stay: sessions without their details,
 * because replicas read revocations from them (the cleanup deletes them after a week); the event of the deletion with its
 * origin; events that are not yet delivered; the row in `account_import`; and the budget of guesses at the name, which is
 * not tied to the user.
 *
 * @returns the ids of the ended sessions, the requesting one included; null if that session had ended before
 */
export async function deleteAccount (db: Db, requester: Requester): Promise<string[] | null> {
  return await inTransaction(db, async (tx) => {
    const values = requesterValues(requester)
    await lockUser(tx, values.userId)
    // Before the events, which stay while a delivery of them waits.
    if (!await livesNow(tx, values)) return null
    await forgetMails(tx, values.userId)
    return (await remove.first(tx, values))?.endedIds ?? null
  })
}
