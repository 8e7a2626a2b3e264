import type { Counters } from '../../core/counters.js'
import type { Notice } from '../../core/notices/index.js'
import type { Seal } from '../../core/keys/seal.js'
import type { Db } from '../../tables/db.js'
import { inTransaction } from '../../tables/transaction.js'
import { waitSeconds } from '../delivery-loop.js'
import { writeEvent } from '../insert.js'
import { GIVE_UP_ROWS, settleDeliveries, type Settled } from '../outbox.js'
import { admitNotice, BATCH_MAILS, claimMails, giveUpMails, readLinkAddress, stopEmail, type ClaimedMail } from './claims.js'
import { linkDigest, linkMessage, noticeMessage, openPayload, type MessageSettings } from './message.js'
import type { MailSender } from './sender.js'

export interface MailDeps {
  db: Db
  seal: Seal
  sender: MailSender
  settings: MessageSettings
  counters: Counters
  /** Called with each failure: a reason without an address. */
  report: (failure: unknown) => void
  /** True to give up mails whose time is over, which are not sent either. */
  isUpkeep: boolean
}

export interface MailRound {
  sent: number
  failed: number
  /** Notices whose time was over before they could be sent. */
  givenUp: number
  /** True if a batch was full: there may be more. */
  isMore: boolean
}

/** Message with its recipient. */
interface Addressed extends Notice { address: string }

/** Origin of events that the worker writes. */
const nowhere = { ip: '', agent: '' }

/**
 * Makes one round: claims a batch, sends it, stores the results. A mail is sent at least once: if the process dies between
 * sending and storing, it is sent again, with the same Message-ID.
 */
export async function deliverMails (deps: MailDeps): Promise<MailRound> {
  const { db, isUpkeep } = deps
  const givenUp = isUpkeep ? await giveUp(deps) : 0

  const claimed = await claimMails(db)
  const settled = await Promise.all(claimed.map(async (mail): Promise<Settled & { failed: boolean }> => {
    const wait = await deliverOne(deps, mail)
    return { event: mail, waitSeconds: wait, failed: wait !== null }
  }))
  if (settled.length > 0) await settleDeliveries(db, settled)
  const failed = settled.filter((one) => one.failed).length
  return { sent: settled.length - failed, failed, givenUp, isMore: settled.length === BATCH_MAILS }
}

/**
 * Gives up mails whose time is over, one batch. A notice that was never sent leaves an event; a link that was not sent in its time
 * does not.
 *
 * @returns the number of notices
 */
async function giveUp ({ db, counters }: MailDeps): Promise<number> {
  const given = await inTransaction(db, async (tx) => {
    const given = await giveUpMails(tx, GIVE_UP_ROWS)
    for (const { userId, eventId } of given) {
      if (eventId !== null) await writeEvent(tx, { userId, kind: 'notice_undelivered', sessionId: null, origin: nowhere })
    }
    return given
  })
  if (given.length > 0) counters.count('mails_total', ['given_up'], given.length)
  return given.filter(({ eventId }) => eventId !== null).length
}

/** Sends one mail. @returns seconds until the next attempt; null if there is none */
async function deliverOne (deps: MailDeps, mail: ClaimedMail): Promise<number | null> {
  const { db, sender, counters, report } = deps
  try {
    const message = await messageOf(deps, mail)
    if (message === null) {
      counters.count('mails_total', ['dropped'])
      return null
    }
    const { address, subject, text } = message
    const result = await sender.send({ to: { name: '', address }, subject, text, id: mail.deliveryId })
    counters.count('mails_total', [result.outcome])
    if (result.outcome === 'sent') return null
    report(new Error(`The mail server did not take a mail: ${result.reason}`))
    if (result.outcome === 'failed') return waitSeconds(mail.attempts, Math.random())
    if (await stopEmail(db, mail.userId, address)) {
      await writeEvent(db, { userId: mail.userId, kind: 'email_stopped', sessionId: null, origin: nowhere })
    }
    return null
  } catch (error) {
    counters.count('mails_total', ['failed'])
    report(error)
    return waitSeconds(mail.attempts, Math.random())
  }
}

/** Returns the message, or null if nothing is sent: no user, no address, a link that was used, a notice that is counted instead. */
async function messageOf ({ db, seal, settings }: MailDeps, mail: ClaimedMail): Promise<Addressed | null> {
  const { userId, deliveryId, username, payload, kind, email } = mail
  if (username === null) return null
  if (payload !== null) {
    const link = openPayload(seal, { ...mail, payload })
    const address = await readLinkAddress(db, userId, linkDigest(link.token))
    return address === null ? null : { address, ...linkMessage(settings, mail, link) }
  }
  if (email === null || kind === null) return null
  const more = await admitNotice(db, { userId, kind, deliveryId })
  const notice = more === null ? null : noticeMessage(settings, mail, more)
  return notice === null ? null : { address: email, ...notice }
}
