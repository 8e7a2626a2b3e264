import { createHmac } from 'node:crypto'
import { isMailable } from '../../core/mailbox.js'
import { Refusal } from '../../core/refusals.js'
import type { Seal } from '../../core/keys/seal.js'
import type { Origin, Requester } from '../../core/session.js'
import { emailKey } from '../../core/texts.js'
import { writeEvent } from '../../events/insert.js'
import { linkDigest } from '../../events/mail/message.js'
import type { Db } from '../../tables/db.js'
import { inTransaction, lockUser } from '../../tables/transaction.js'
import type { Sessions } from '../../sessions/liveness.js'
import { sessionEnded } from '../../sessions/session-ended.js'
import { livesNow } from '../../sessions/statements.js'
import { spendMail } from './mail-budget.js'
import { deleteLinks, mailLink, readLink, takeLink } from './links.js'
import { raiseVersion, readMailbox, verifyEmail } from './mailbox.js'

export interface VerificationDeps {
  db: Db
  seal: Seal
  digestKey: () => Promise<Buffer>
  sessions: Sessions
}

const HOUR_SECONDS = 3600
const DAY_SECONDS = 24 * HOUR_SECONDS
/** Messages to one address for one account, and from all accounts to one mailbox in a day. */
const MOST_AN_HOUR = 1
const MOST_A_DAY = 3
const MOST_TO_MAILBOX = 5

/**
 * Mails a link to the address that the account has or is to have. Nothing is sent if it is verified already, and nothing if its
 * mailbox got `MOST_TO_MAILBOX` messages today: the answer does not tell of other accounts.
 *
 * @throws {Refusal} RATE_LIMITED after a message within the hour or three within the day, REQUEST_INVALID for an address to which
 * nothing can be sent
 */
export async function askVerification (deps: VerificationDeps, requester: Requester): Promise<void> {
  const { db, seal } = deps
  const { userId } = requester.context
  const key = await deps.digestKey()
  const nameOf = (...parts: string[]) => createHmac('sha256', key).update(`mail\0${parts.join('\0')}`).digest('base64url')
  await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const mailbox = await livesNow(tx, requester.context) ? await readMailbox(tx, userId) : null
    if (mailbox === null) throw sessionEnded(deps, requester)
    const { email, pendingEmail, isVerified, isStopped, version } = mailbox
    const target = pendingEmail ?? (isVerified && !isStopped ? null : email)
    if (target === null) return
    if (!isMailable(target)) {
      throw new Refusal('REQUEST_INVALID', { field: 'email', hint: { key: 'mailRefused' } })
    }
    const address = emailKey(target)
    for (const [most, seconds] of [[MOST_AN_HOUR, HOUR_SECONDS], [MOST_A_DAY, DAY_SECONDS]] as const) {
      const waitSeconds = await spendMail(tx, nameOf(String(seconds), userId, address), most, seconds)
      if (waitSeconds > 0) throw new Refusal('RATE_LIMITED', { retryAfterSeconds: waitSeconds })
    }
    if (await spendMail(tx, nameOf('mailbox', address), MOST_TO_MAILBOX, DAY_SECONDS) > 0) return
    await mailLink(tx, seal, { userId, purpose: 'verify_email', email: target, version })
  })
}

/**
 * Marks the address of a link as verified. Where it was to replace another one, it does so now.
 *
 * @throws {Refusal} LINK_INVALID
 */
export async function confirmEmail ({ db }: Pick<VerificationDeps, 'db'>, token: string, origin: Origin): Promise<void> {
  const sought = { digest: linkDigest(token), purpose: 'verify_email' } as const
  const found = await readLink(db, sought)
  if (found === null) throw new Refusal('LINK_INVALID')
  const { userId } = found
  await inTransaction(db, async (tx) => {
    await lockUser(tx, userId)
    const link = await takeLink(tx, sought)
    const mailbox = link === null ? null : await readMailbox(tx, userId)
    if (link === null || mailbox === null || (mailbox.pendingEmail ?? mailbox.email) !== link.email) throw new Refusal('LINK_INVALID')
    await verifyEmail(tx, userId, link.email)
    await deleteLinks(tx, userId, ['verify_email'])
    if (mailbox.pendingEmail !== null) {
      await raiseVersion(tx, userId)
      await deleteLinks(tx, userId, ['reset_password', 'reset_password_staff'])
      await writeEvent(tx, { userId, kind: 'email_changed', sessionId: null, origin })
    }
    await writeEvent(tx, { userId, kind: 'email_verified', sessionId: null, origin })
  })
}
