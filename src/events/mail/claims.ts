import { limitedKinds } from '../../core/notices/texts.js'
import type { Db } from '../../tables/db.js'
import { statement, type Parameters } from '../../tables/statement.js'
import { inTransaction } from '../../tables/transaction.js'
import { clock, clockOnce, earlier, later, numberAs, timeAs, unixSeconds, withNow } from '../../tables/values.js'
import { CLAIM_SECONDS, MAIL } from '../outbox.js'

/** A message of a kind that strangers can cause is sent once in this time. */
const LIMITED_SECONDS = 3600

/** Mail that this replica is to send. The columns of the event are null in a message with a link, `payload` in a notice. */
export interface ClaimedMail {
  userId: string
  deliveryId: string
  attempts: number
  payload: string | null
  kind: string | null
  at: Date | null
  ip: string | null
  agent: string | null
  deviceName: string | null
  /** Null for a user that is gone, or never was: a request for a name without an account writes a delivery too. */
  username: string | null
  firstName: string | null
  locale: string | null
  /** Address to which notices go; null if there is none. */
  email: string | null
  recoveryCodesLeft: number
}

/** Mails sent in parallel. */
export const BATCH_MAILS = 10

const claimDue = statement('claim_mails', (db) => withNow(db)
  .with('due', (db) => db.selectFrom(['otp_delivery as d', 'now']).select(['d.user_id', 'd.id'])
    .where('d.due_at', '<=', clockOnce).where('d.destination', '=', MAIL)
    // A link is never sent after its time; a notice is tried once at any age.
    .where((eb) => eb.or([
      eb.and([eb('d.attempts', '=', 0), eb('d.payload', 'is', null)]),
      eb('d.expires_at', 'is', null),
      eb('d.expires_at', '>', eb.ref('now.at'))
    ]))
    // Not a parameter: without its value, PostgreSQL 17 plans for a tenth of those that wait, and reads the whole table.
    .orderBy('d.due_at').limit((eb) => eb.lit(BATCH_MAILS)).forUpdate('d').skipLocked())
  .with('claimed', (db) => db.updateTable('otp_delivery as d').from(['due', 'now'])
    .set((eb) => ({ attempts: eb('d.attempts', '+', 1), due_at: later(eb.ref('now.at'), CLAIM_SECONDS) }))
    .whereRef('d.user_id', '=', 'due.user_id').whereRef('d.id', '=', 'due.id')
    .returning(['d.user_id', 'd.event_at', 'd.event_id', 'd.id', 'd.attempts', 'd.payload']))
  .selectFrom('claimed as d')
  // Cast on this side, so that the account is found by its index.
  .leftJoin('account as a', (join) => join.on((eb) => eb('a.id', '=', eb.cast<string>('d.user_id', 'uuid'))))
  .leftJoin('otp_event as e', (join) => join
    .onRef('e.user_id', '=', 'd.user_id').onRef('e.at', '=', 'd.event_at').onRef('e.id', '=', 'd.event_id'))
  .select((eb) => [
    'd.user_id as userId', 'd.id as deliveryId', 'd.attempts', 'd.payload',
    'e.kind', timeAs(eb.ref('e.at'), 'at'), 'e.ip', 'e.agent', 'e.device_name as deviceName',
    'a.username', 'a.first_name as firstName', 'a.locale',
    eb.case().when('a.email_verified_at', 'is not', null).then(
      eb.case().when('a.email_stopped_at', 'is', null).then(eb.ref('a.email')).end()
    ).end().as('email'),
    numberAs(eb.selectFrom('otp_recovery_code as c').select((eb) => eb.fn.countAll<string>().as('count'))
      .whereRef('c.user_id', '=', 'd.user_id').where('c.used_at', 'is', null).where('c.pending_device_id', 'is', null), 'recoveryCodesLeft')
  ]))

/** Claims due mails for this replica, the longest due first. Two replicas never claim the same one. */
export async function claimMails (db: Db): Promise<ClaimedMail[]> {
  return await claimDue.all(db)
}

const readLink = statement('read_mailed_link', (db, p: Parameters<{ userId: string, digest: Buffer }>) => db
  .selectFrom('account_link as l').innerJoin('account as a', 'a.id', 'l.user_id').select(['l.email', 'l.purpose'])
  .where('l.user_id', '=', p.userId).where('l.digest', '=', p.digest).where('l.expires_at', '>', clock))

/** Returns the address to which a link is sent; null if the link cannot be used any more. */
export async function readLinkAddress (db: Db, userId: string, digest: Buffer): Promise<string | null> {
  return (await readLink.first(db, { userId, digest }))?.email ?? null
}

interface Held { userId: string, kind: string, deliveryId: string }

const hold = statement('hold_notice', (db, p: Parameters<Held>) => db.insertInto('account_notice')
  .values({ user_id: p.userId, kind: p.kind, sent_at: clock, delivery_id: p.deliveryId, told: 0, held: 0 })
  .onConflict((oc) => oc.columns(['user_id', 'kind']).doUpdateSet((eb) => {
    const isOwn = eb('account_notice.delivery_id', '=', eb.ref('excluded.delivery_id'))
    const isOver = eb('account_notice.sent_at', '<=', earlier(eb.ref('excluded.sent_at').$castTo<Date>(), LIMITED_SECONDS))
    const next = eb.and([eb.not(isOwn), isOver])
    return {
      held: eb.case().when(isOwn).then(eb.ref('account_notice.held')).when(isOver).then(0).else(eb('account_notice.held', '+', 1)).end(),
      told: eb.case().when(next).then(eb.ref('account_notice.held')).else(eb.ref('account_notice.told')).end(),
      delivery_id: eb.case().when(next).then(eb.ref('excluded.delivery_id')).else(eb.ref('account_notice.delivery_id')).end(),
      sent_at: eb.case().when(eb.or([isOwn, isOver])).then(eb.ref('excluded.sent_at')).else(eb.ref('account_notice.sent_at')).end()
    }
  }))
  .returning(['account_notice.delivery_id as deliveryId', 'account_notice.told']))

const dropOne = statement('drop_mail', (db, p: Parameters<{ userId: string, deliveryId: string }>) => db.deleteFrom('otp_delivery')
  .where('user_id', '=', p.userId).where('id', '=', p.deliveryId))

const isLimited = (kind: string): boolean => (limitedKinds as readonly string[]).includes(kind)

/**
 * Decides whether a notice is sent now: one of a kind that strangers can cause is not, within an hour of the last one. It is
 * then counted, and its delivery is deleted.
 *
 * @returns the number of events that the notice counts; null if it is not sent
 */
export async function admitNotice (db: Db, { userId, kind, deliveryId }: Held): Promise<number | null> {
  if (!isLimited(kind)) return 0
  return await inTransaction(db, async (tx) => {
    const owner = (await hold.first(tx, { userId, kind, deliveryId }))!
    if (owner.deliveryId === deliveryId) return owner.told
    await dropOne.changed(tx, { userId, deliveryId })
    return null
  })
}

const stop = statement('stop_email', (db, p: Parameters<{ userId: string, email: string }>) => db.updateTable('account')
  .set({ email_stopped_at: clock }).where('id', '=', p.userId).where('email', '=', p.email).where('email_stopped_at', 'is', null)
  .returning('id'))

/** Sends nothing more to a user's address, unless it is verified again. Returns false if it was stopped before, or is another one. */
export async function stopEmail (db: Db, userId: string, email: string): Promise<boolean> {
  return await stop.first(db, { userId, email }) !== undefined
}

const expire = statement('expire_mails', (db, p: Parameters<{ limit: number }>) => db.deleteFrom('otp_delivery')
  .where((eb) => eb(eb.refTuple('user_id', 'id'), 'in', eb.selectFrom('otp_delivery as d').select(['d.user_id', 'd.id'])
    .where('d.destination', '=', MAIL).where('d.due_at', '<=', clockOnce).where('d.expires_at', '<=', clockOnce)
    .where((eb) => eb.or([eb('d.attempts', '>', 0), eb('d.payload', 'is not', null)]))
    .orderBy('d.due_at').limit(p.limit).forUpdate().skipLocked().$asTuple('user_id', 'id')))
  .returning(['user_id as userId', 'event_id as eventId']))

/** Gives up mails whose time is over. @returns one entry for each of them; `eventId` is null for a link */
export async function giveUpMails (db: Db, limit: number): Promise<Array<{ userId: string, eventId: string | null }>> {
  return await expire.all(db, { limit })
}

const oldest = statement('oldest_mail', (db) => db.selectFrom('otp_delivery').where('destination', '=', MAIL)
  .select((eb) => numberAs(unixSeconds(eb.fn.min('created_at')), 'createdAtSeconds'))
  .select(numberAs(unixSeconds(clock), 'nowSeconds')))

/** Returns the age of the oldest waiting mail in seconds; 0 if none waits. */
export async function oldestMailSeconds (db: Db): Promise<number> {
  const { createdAtSeconds, nowSeconds } = (await oldest.first(db))!
  return createdAtSeconds === null ? 0 : Math.max(0, nowSeconds - createdAtSeconds)
}
