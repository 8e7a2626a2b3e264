import { claimEvents, giveUpEvents, settleEvents, type Claimed, type Settled } from '../outbox.js'
import type { Db } from '../../tables/db.js'
import type { Key } from '../../core/key-ring.js'
import type { Counters } from '../../core/counters.js'
import { messageOf } from './message.js'
import type { Sender } from './sender.js'

/** Events sent in parallel. */
const BATCH_EVENTS = 10
const FIRST_WAIT_SECONDS = 5
const LONGEST_WAIT_SECONDS = 3600

export interface DeliveryDeps {
  db: Db
  sender: Sender
  /** Each of them signs. */
  keys: readonly Key[]
  counters: Counters
  /** Called with each failure. */
  report: (error: unknown) => void
}

export interface Round {
  sent: number
  failed: number
  /** Events that could not be delivered for a day. */
  givenUp: number
  /** True if the batch was full: there may be more. */
  isMore: boolean
}

/**
 * Makes one round of deliveries: claims a batch, sends it, stores the results. An event is sent at least once: if the
 * process dies between sending and storing, the event is sent again, under the same id.
 */
export async function deliver ({ db, sender, keys, counters, report }: DeliveryDeps): Promise<Round> {
  const givenUp = await giveUpEvents(db)
  if (givenUp > 0) counters.count('webhooks_total', ['given_up'], givenUp)
  const claimed = await claimEvents(db, BATCH_EVENTS)
  if (claimed.length === 0) return { sent: 0, failed: 0, givenUp, isMore: givenUp > 0 }

  const settled = await Promise.all(claimed.map(async ({ exactMicros, attempts, nowSeconds, ...event }): Promise<Settled> => {
    const claim: Claimed = { ...event, exactMicros, attempts, nowSeconds }
    try {
      await sender.send(messageOf(event, keys, nowSeconds))
      return { event: claim, waitSeconds: null }
    } catch (error) {
      report(error)
      return { event: claim, waitSeconds: waitSeconds(attempts, Math.random()) }
    }
  }))
  await settleEvents(db, settled)

  const sent = settled.filter((one) => one.waitSeconds === null).length
  const failed = settled.length - sent
  if (sent > 0) counters.count('webhooks_total', ['sent'], sent)
  if (failed > 0) counters.count('webhooks_total', ['failed'], failed)
  return { sent, failed, givenUp, isMore: settled.length === BATCH_EVENTS }
}

/**
 * Returns the wait in seconds after so many attempts. It doubles each time, and it is random, so that events that failed
 * together are not sent again together.
 *
 * @param chance number from 0 to 1
 */
export function waitSeconds (attempts: number, chance: number): number {
  return Math.min(FIRST_WAIT_SECONDS * 2 ** (attempts - 1), LONGEST_WAIT_SECONDS) * (0.75 + chance / 2)
}
