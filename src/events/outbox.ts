import { expressionBuilder } from 'kysely'
import type { SecurityEventNotice } from './notice.js'
import { withoutNull } from './log.js'
import type { Db, Tables } from '../tables/db.js'
import { statement, type Parameters } from '../tables/statement.js'
import { clock, clockOnce, later, numberAs, unixSeconds, unnested, withNow } from '../tables/values.js'
import { noticed } from './listener.js'

/** Destination of the deliveries to `WEBHOOK_URL`, and of mails to users. */
export const WEBHOOK = 'webhook'
export const MAIL = 'mail'

/** Returns the destinations of events. */
export function destinationsOf ({ webhookUrl, mailUrl }: { webhookUrl: string | undefined, mailUrl: string | undefined }): string[] {
  return [...(webhookUrl === undefined ? [] : [WEBHOOK]), ...(mailUrl === undefined ? [] : [MAIL])]
}

/** Seconds for which a claim excludes other replicas: longer than sending takes. After a crash another replica claims it then. */
export const CLAIM_SECONDS = 30
/** Deliveries that one statement gives up. */
export const GIVE_UP_ROWS = 500

export interface Claimed extends SecurityEventNotice {
  /** Id of the delivery; `id` is that of the event. */
  deliveryId: string
  /** Number of attempts, this one included. */
  attempts: number
  /** PostgreSQL's clock, Unix seconds. */
  nowSeconds: number
}

const event = expressionBuilder<Tables & { e: Tables['otp_event'] }, 'e'>()
/** Condition on an event `e`: it still waits for a delivery. */
export const awaitsDelivery = event.exists(event.selectFrom('otp_delivery as waiting')
  .whereRef('waiting.user_id', '=', 'e.user_id').whereRef('waiting.event_at', '=', 'e.at').whereRef('waiting.event_id', '=', 'e.id'))
  .$castTo<boolean>()

const claim = statement('claim_deliveries', (db, p: Parameters<{ destination: string, limit: number }>) => withNow(db)
  .with('due', (db) => db.selectFrom(['otp_delivery as d', 'now']).select(['d.user_id', 'd.id'])
    .where('d.due_at', '<=', clockOnce).where('d.destination', '=', p.destination)
    .where((eb) => eb.or([
      eb('d.attempts', '=', eb.lit(0)), eb('d.expires_at', 'is', null), eb('d.expires_at', '>', eb.ref('now.at'))
    ]))
    .orderBy('d.due_at').limit(p.limit).forUpdate('d').skipLocked())
  .with('claimed', (db) => db.updateTable('otp_delivery as d').from(['due', 'now'])
    .set((eb) => ({ attempts: eb('d.attempts', '+', eb.lit(1)), due_at: later(eb.ref('now.at'), CLAIM_SECONDS) }))
    .whereRef('d.user_id', '=', 'due.user_id').whereRef('d.id', '=', 'due.id')
    .returning(['d.user_id', 'd.event_at', 'd.event_id', 'd.id', 'd.attempts']))
  .selectFrom(['now', 'claimed as d'])
  .innerJoin('otp_event as e', (join) => join
    .onRef('e.user_id', '=', 'd.user_id').onRef('e.at', '=', 'd.event_at').onRef('e.id', '=', 'd.event_id'))
  .select((eb) => [...noticed, 'd.id as deliveryId', 'd.attempts', numberAs(unixSeconds(eb.ref('now.at')), 'nowSeconds')])
  .orderBy('e.at').orderBy('e.id'))

/** Claims due deliveries for this replica, the longest due first. Two replicas never claim the same one. */
export const claimDeliveries = async (db: Db, destination: string, limit: number): Promise<Claimed[]> =>
  (await claim.all(db, { destination, limit })).map(withoutNull)

/** Result of a claimed delivery: seconds until it is due again; null if it was sent. */
export interface Settled { event: Pick<Claimed, 'userId' | 'deliveryId'>, waitSeconds: number | null }

const settle = statement('settle_deliveries', (
  db, p: Parameters<{ userIds: string[], ids: string[], seconds: Array<number | null> }>
) => db
  .with('settled', (db) => db.selectFrom(unnested('settled', {
    user_id: ['text', p.userIds], id: ['uuid', p.ids], seconds: ['float8', p.seconds]
  })).selectAll())
  .with('sent', (db) => db.deleteFrom('otp_delivery as d').using('settled')
    .whereRef('d.user_id', '=', 'settled.user_id').whereRef('d.id', '=', 'settled.id').where('settled.seconds', 'is', null))
  .updateTable('otp_delivery as d').from('settled')
  .set((eb) => ({ due_at: later(clock, eb.ref('settled.seconds').$notNull()) }))
  .whereRef('d.user_id', '=', 'settled.user_id').whereRef('d.id', '=', 'settled.id').where('settled.seconds', 'is not', null))

/** Removes sent deliveries from the outbox, and sets the time at which the others are due again. */
export async function settleDeliveries (db: Db, settled: readonly Settled[]): Promise<void> {
  await settle.all(db, {
    userIds: settled.map(({ event }) => event.userId),
    ids: settled.map(({ event }) => event.deliveryId),
    seconds: settled.map(({ waitSeconds }) => waitSeconds)
  })
}

const giveUp = statement('give_up_deliveries', (db, p: Parameters<{ destination: string }>) => db.deleteFrom('otp_delivery')
  .where((eb) => eb(eb.refTuple('user_id', 'id'), 'in', eb.selectFrom('otp_delivery').select(['user_id', 'id'])
    .where('due_at', '<=', clockOnce).where('expires_at', '<=', clockOnce).where('destination', '=', p.destination)
    .where('attempts', '>', eb.lit(0)).orderBy('due_at').limit(eb.lit(GIVE_UP_ROWS)).forUpdate().skipLocked().$asTuple('user_id', 'id'))))

/** Removes deliveries from the outbox that were tried and have expired, `GIVE_UP_ROWS` at most. @returns their number */
export const giveUpDeliveries = async (db: Db, destination: string): Promise<number> => await giveUp.changed(db, { destination })
