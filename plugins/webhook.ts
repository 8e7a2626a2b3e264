import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Counters } from '../src/core/counters.js'
import { Refusal } from '../src/core/refusals.js'
import type { Key } from '../src/core/keys/key-ring.js'
import { createDeliveryLoop } from '../src/events/delivery-loop.js'
import { deliver } from '../src/events/webhook/delivery-worker.js'
import { createSender } from '../src/events/webhook/sender.js'

export interface WebhookOptions {
  url: string
  keys: readonly Key[]
  /** Private addresses where the receiver may be, and addresses that may use http://. */
  named: readonly string[]
  counters: Counters
}

/**
 * Delivers security events to WEBHOOK_URL from the outbox, which each decision writes in its own transaction. No request
 * waits for it or depends on it. During an outage of the receiver it reads the outbox every half minute; the receiver gets
 * the missed events for a day.
 */
async function webhook (app: FastifyInstance, { url, keys, named, counters }: WebhookOptions): Promise<void> {
  const sender = createSender({ url, named })
  const { database: db } = app
  const loop = createDeliveryLoop({
    async round (isUpkeep) {
      const done = await deliver({ db, sender, keys, counters, report, isUpkeep })
      if (done.givenUp > 0) {
        app.log.error({ events: done.givenUp }, 'the webhook\'s receiver was never told of these events: given up after a day')
      }
      return done
    },
    isReady: () => db.isMigrated(),
    onError (error) {
      // Other components already log a PostgreSQL outage.
      if (!(error instanceof Refusal)) app.log.error({ err: error }, 'the outbox could not be read')
    }
  })

  /** Logs one line for an outage of the receiver, not one for each event. */
  function report (error: unknown): void {
    if (!loop.isPausing()) app.log.warn({ err: error }, 'the webhook\'s receiver did not take an event')
  }

  app.addHook('onReady', async () => { loop.start() })
  app.addHook('onClose', async () => {
    await loop.stop()
    sender.close()
  })
}

export default fp(webhook, { name: 'webhook', fastify: '5.x', dependencies: ['database'] })
