import { claimDeliveries, giveUpDeliveries, GIVE_UP_ROWS, settleDeliveries, WEBHOOK, type Claimed, type Settled } from '../outbox.js'
import type { Db } from '../../tables/db.js'
import type { Key } from '../../core/keys/key-ring.js'
import type { Counters } from '../../core/counters.js'
import { waitSeconds } from '../delivery-loop.js'
import { messageOf } from './message.js'
import type { Sender } from './sender.js'

/** Events sent in parallel. */
const BATCH_EVENTS = 10
/** Bounds the time of a round. */
const MOST_GIVE_UP_BATCHES = 20

export interface DeliveryDeps {
  db: Db
  sender: Sender
  /** Each of them signs. */
  keys: readonly Key[]
  counters: Counters
  /** Called with each failure. */
  report: (error: unknown) => void
  /** False skips expired deliveries, which are not sent either. @default true */
  isUpkeep?: boolean
}

export interface Round {
  sent: number
  failed: number
  /** Events that could not be delivered for a day. */
  givenUp: number
  /** True if a batch was full: there may be more. */
  isMore: boolean
}

/**
 * Makes one round of deliveries: claims a batch, sends it, stores the results. An event is sent at least once: if the
 * process dies between sending and storing, the event is sent again, under the same id.
 */
export async function deliver ({ db, sender, keys, counters, report, isUpkeep = true }: DeliveryDeps): Promise<Round> {
  const givenUp = isUpkeep ? await giveUp(db) : 0
  if (givenUp > 0) counters.count('webhooks_total', ['given_up'], givenUp)
  const claimed = await claimDeliveries(db, WEBHOOK, BATCH_EVENTS)
  if (claimed.length === 0) return { sent: 0, failed: 0, givenUp, isMore: false }

  const settled = await Promise.all(claimed.map(async ({ deliveryId, attempts, nowSeconds, ...event }): Promise<Settled> => {
    const claim: Claimed = { ...event, deliveryId, attempts, nowSeconds }
    try {
      await sender.send(messageOf(event, keys, nowSeconds))
      return { event: claim, waitSeconds: null }
    } catch (error) {
      report(error)
      return { event: claim, waitSeconds: waitSeconds(attempts, Math.random()) }
    }
  }))
  await settleDeliveries(db, settled)

  const sent = settled.filter((one) => one.waitSeconds === null).length
  const failed = settled.length - sent
  if (sent > 0) counters.count('webhooks_total', ['sent'], sent)
  if (failed > 0) counters.count('webhooks_total', ['failed'], failed)
  return { sent, failed, givenUp, isMore: settled.length === BATCH_EVENTS }
}

/** Gives up expired deliveries in the same round, so that they do not wait for a receiver that answers nothing. */
async function giveUp (db: Db): Promise<number> {
  let givenUp = 0
  for (let batch = 0; batch < MOST_GIVE_UP_BATCHES; batch++) {
    const rows = await giveUpDeliveries(db, WEBHOOK)
    givenUp += rows
    if (rows < GIVE_UP_ROWS) break
  }
  return givenUp
}
