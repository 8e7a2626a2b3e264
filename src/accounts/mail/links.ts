import { randomUUID } from 'node:crypto'
import type { MessageKind } from '../../core/notices/texts.js'
import type { Seal } from '../../core/keys/seal.js'
import { newLinkToken, sealPayload } from '../../events/mail/message.js'
import { MAIL } from '../../events/outbox.js'
import type { Db } from '../../tables/db.js'
import { statement, type Parameters } from '../../tables/statement.js'
import { clock, later, timeAs, unnested, withNow } from '../../tables/values.js'

/** How long a link is valid, and how many of a purpose a user has at once. */
const lifetimes: Readonly<Record<MessageKind, { seconds: number, most: number }>> = {
  verify_email: { seconds: 24 * 3600, most: 3 },
  reset_password: { seconds: 30 * 60, most: 3 },
  reset_password_staff: { seconds: 30 * 60, most: 3 },
  undo_email_change: { seconds: 72 * 3600, most: 5 }
}

export interface NewLink {
  userId: string
  purpose: MessageKind
  /** Address that the link is about, and to which it is mailed. */
  email: string
  /** Version of the user, from which the link depends. */
  version: number
  /**
   * True to write the same rows where the user has as many links as there may be, for a user that does not exist: the time of an
   * answer then tells nothing.
   */
  isHidden?: boolean
}

interface Placed extends Required<NewLink> {
  decoyId: string
  slots: number[]
  digest: Buffer
  seconds: number
  deliveryId: string
  payload: string
}

const placeLink = statement('place_link', (db, p: Parameters<Placed>) => withNow(db)
  .with('free', (db) => db.selectFrom(['now', unnested('each', { slot: ['integer', p.slots] })])
    .select((eb) => eb.fn.min<number | null>('each.slot').as('slot'))
    .where((eb) => eb.not(eb.exists(eb.selectFrom('account_link as used').select('used.slot')
      .where('used.user_id', '=', p.userId).where('used.purpose', '=', p.purpose)
      .whereRef('used.slot', '=', 'each.slot').whereRef('used.expires_at', '>', 'now.at')))))
  .with('link', (db) => db.insertInto('account_link')
    .columns(['user_id', 'purpose', 'slot', 'digest', 'email', 'version', 'created_at', 'expires_at'])
    .expression((eb) => eb.selectFrom(['free', 'now'])
      .select((eb) => [
        eb.case().when('free.slot', 'is', null).then(eb.cast<string>(eb.val(p.decoyId), 'uuid'))
          .else(eb.cast<string>(eb.val(p.userId), 'uuid')).end().as('user_id'),
        eb.cast<string>(eb.val(p.purpose), 'text').as('purpose'),
        eb.fn.coalesce('free.slot', eb.lit(0)).as('slot'), eb.cast<Buffer>(eb.val(p.digest), 'bytea').as('digest'),
        eb.cast<string>(eb.val(p.email), 'text').as('email'), eb.cast<number>(eb.val(p.version), 'integer').as('version'),
        eb.ref('now.at').as('created_at'), later(eb.ref('now.at'), p.seconds).as('expires_at')
      ])
      .where((eb) => eb.or([eb('free.slot', 'is not', null), eb(eb.cast<boolean>(eb.val(p.isHidden), 'boolean'), '=', true)])))
    // Expired, or another request was faster: then this one makes no link.
    .onConflict((oc) => oc.columns(['user_id', 'purpose', 'slot'])
      .doUpdateSet((eb) => ({
        digest: eb.ref('excluded.digest'),
        email: eb.ref('excluded.email'),
        version: eb.ref('excluded.version'),
        created_at: eb.ref('excluded.created_at'),
        expires_at: eb.ref('excluded.expires_at')
      }))
      .whereRef('account_link.expires_at', '<=', 'excluded.created_at'))
    .returning(['account_link.user_id', 'account_link.expires_at']))
  .with('delivery', (db) => db.insertInto('otp_delivery')
    .columns(['user_id', 'id', 'destination', 'due_at', 'expires_at', 'payload', 'created_at'])
    .expression((eb) => eb.selectFrom(['link', 'now']).select((eb) => [
      eb.cast<string>('link.user_id', 'text').as('user_id'), eb.cast<string>(eb.val(p.deliveryId), 'uuid').as('id'),
      eb.val(MAIL).as('destination'), eb.ref('now.at').as('due_at'), eb.ref('link.expires_at').as('expires_at'),
      eb.cast<string>(eb.val(p.payload), 'text').as('payload'), eb.ref('now.at').as('created_at')
    ])))
  .selectFrom('link').select((eb) => eb.lit(true).as('isPlaced'))
  .where('link.user_id', '=', (eb) => eb.cast<string>(eb.val(p.userId), 'uuid')))

/**
 * Makes a link and puts its mail into the outbox, in one statement. Returns false if the user has as many links of the purpose as
 * there may be. For a user that does not exist it writes the same rows; the delivery finds no account and is dropped.
 */
export async function mailLink (db: Db, seal: Seal, link: NewLink): Promise<boolean> {
  const { userId, purpose, email, version, isHidden = false } = link
  const { token, digest } = newLinkToken()
  const { seconds, most } = lifetimes[purpose]
  const deliveryId = randomUUID()
  const placed = await placeLink.first(db, {
    userId,
    purpose,
    email,
    version,
    isHidden,
    decoyId: randomUUID(),
    digest,
    seconds,
    slots: Array.from({ length: most }, (_, slot) => slot),
    deliveryId,
    payload: sealPayload(seal, { kind: purpose, token }, deliveryId, userId)
  })
  return placed !== undefined
}

interface Sought { digest: Buffer, purpose: MessageKind }

export interface FoundLink { userId: string, username: string, email: string, version: number, createdAt: Date }

const findLink = statement('find_link', (db, p: Parameters<Sought>) => db
  .selectFrom('account_link as l').innerJoin('account as a', 'a.id', 'l.user_id').select(['l.user_id as userId', 'a.username'])
  .where('l.digest', '=', p.digest).where('l.purpose', '=', p.purpose).where('l.expires_at', '>', clock))

/** Returns the user of a link that can still be used. */
export async function readLink (db: Db, sought: Sought): Promise<{ userId: string, username: string } | null> {
  return await findLink.first(db, sought) ?? null
}

const takeOne = statement('take_link', (db, p: Parameters<Sought>) => db.deleteFrom('account_link')
  .where('digest', '=', p.digest).where('purpose', '=', p.purpose).where('expires_at', '>', clock)
  .returning((eb) => ['email', 'version', timeAs(eb.ref('created_at'), 'createdAt')]))

/** Consumes a link: of several requests at once, one gets it. The transaction has the user's lock. */
export const takeLink = async (db: Db, sought: Sought) => await takeOne.first(db, sought) ?? null

const deleteAll = statement('delete_links', (db, p: Parameters<{ userId: string, purposes: readonly MessageKind[] }>) => db
  .deleteFrom('account_link').where('user_id', '=', p.userId)
  .where('purpose', '=', (eb) => eb.fn.any(eb.val(p.purposes as string[]))))

/** Deletes the links of these purposes: none of them can be used any more. */
export async function deleteLinks (db: Db, userId: string, purposes: readonly MessageKind[]): Promise<void> {
  await deleteAll.changed(db, { userId, purposes })
}

const deleteLater = statement('delete_later_undo_links', (db, p: Parameters<{ userId: string, since: Date }>) => db
  .deleteFrom('account_link').where('user_id', '=', p.userId).where('purpose', '=', 'undo_email_change').where('created_at', '>', p.since))

/** Deletes the links that would undo later changes of the address than one made at `since`. Earlier ones stay. */
export async function deleteLaterUndoLinks (db: Db, userId: string, since: Date): Promise<void> {
  await deleteLater.changed(db, { userId, since })
}

const deleteMails = statement('delete_mails', (db, p: Parameters<{ userId: string }>) => db
  .deleteFrom('otp_delivery').where('user_id', '=', p.userId).where('destination', '=', MAIL))

/** Deletes the links and the waiting mails of a user, before the account is deleted. */
export async function forgetMails (db: Db, userId: string): Promise<void> {
  await deleteLinks(db, userId, Object.keys(lifetimes) as MessageKind[])
  await deleteMails.changed(db, { userId })
}
