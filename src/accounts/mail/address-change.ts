import { Refusal } from '../../core/refusals.js'
import type { Seal } from '../../core/keys/seal.js'
import type { Counters } from '../../core/counters.js'
import type { Origin } from '../../core/session.js'
import { writeEvent } from '../../events/insert.js'
import { linkDigest } from '../../events/mail/message.js'
import { endEverySession } from '../../sessions/ending.js'
import type { Sessions } from '../../sessions/liveness.js'
import type { Db } from '../../tables/db.js'
import { inTransaction, lockUser, type Tx } from '../../tables/transaction.js'
import { deleteLaterUndoLinks, deleteLinks, mailLink, readLink, takeLink } from './links.js'
import { raiseVersion, setPendingEmail, stopPasswordLinks, verifyEmail, type Mailbox } from './mailbox.js'

export interface UndoDeps {
  db: Db
  sessions: Pick<Sessions, 'ended'>
  counters: Counters
}

/**
 * Notes an address that is to replace the verified one, and mails the verified one a link that undoes it. Part of the transaction
 * that changes the profile, which has the user's lock.
 *
 * @param mailbox address and version of the user before the change
 * @throws {Refusal} RATE_LIMITED after five changes within 72 hours: each one mails a link
 */
export async function noteNewEmail (tx: Tx, seal: Seal, userId: string, mailbox: Mailbox, to: string): Promise<void> {
  const { email, version } = mailbox
  await setPendingEmail(tx, userId, to)
  await deleteLinks(tx, userId, ['verify_email', 'reset_password', 'reset_password_staff'])
  const isMailed = await mailLink(tx, seal, { userId, purpose: 'undo_email_change', email, version })
  if (!isMailed) throw new Refusal('RATE_LIMITED', { retryAfterSeconds: 3600 })
}

/**
 * Undoes a change of the address by the link in the mail about it: the earlier address is the verified one again, every session
 * ends, and links for a new password are mailed to neither address until a log-in.
 *
 * A link for a later change becomes invalid; one for an earlier change stays, because its address belonged to the user before.
 *
 * @throws {Refusal} LINK_INVALID
 */
export async function undoEmailChange ({ db, sessions, counters }: UndoDeps, token: string, origin: Origin): Promise<void> {
  const sought = { digest: linkDigest(token), purpose: 'undo_email_change' } as const
  const found = await readLink(db, sought)
  if (found === null) throw new Refusal('LINK_INVALID')
  const { userId } = found
  const endedIds = await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const link = await takeLink(tx, sought)
    if (link === null) throw new Refusal('LINK_INVALID')
    await verifyEmail(tx, userId, link.email)
    await stopPasswordLinks(tx, userId)
    await raiseVersion(tx, userId)
    await deleteLinks(tx, userId, ['verify_email', 'reset_password', 'reset_password_staff'])
    await deleteLaterUndoLinks(tx, userId, link.createdAt)
    await writeEvent(tx, { userId, kind: 'email_change_undone', sessionId: null, origin })
    return await endEverySession(tx, userId, 'email_change_undone')
  })
  sessions.ended(userId, endedIds)
  counters.count('sessions_ended_total', ['email_change_undone'], endedIds.length)
}
