import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Counters } from '../src/core/counters.js'
import { Refusal } from '../src/core/refusals.js'
import type { Key } from '../src/core/key-ring.js'
import { deliver } from '../src/events/webhook/delivery-worker.js'
import { createSender } from '../src/events/webhook/sender.js'

export interface WebhookOptions {
  url: string
  keys: readonly Key[]
  /** Private addresses where the receiver may be, and addresses that may use http://. */
  named: readonly string[]
  counters: Counters
}

/** Time between two reads of the outbox. */
const IDLE_MS = 500
/** Time between two rounds in which the receiver accepted no event. */
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000

/**
 * Delivers security events to WEBHOOK_URL from the outbox, which each decision writes in its own transaction. No request
 * waits for it or depends on it. During an outage of the receiver it reads the outbox every half minute; the receiver gets
 * the missed events for a day.
 */
async function webhook (app: FastifyInstance, { url, keys, named, counters }: WebhookOptions): Promise<void> {
  const sender = createSender({ url, named })
  const { database: db } = app
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()
  let closing = false
  let pauseMs = 0

  /** Logs one line for an outage of the receiver, not one for each event. */
  function report (error: unknown): void {
    if (pauseMs === 0) app.log.warn({ err: error }, 'the webhook\'s receiver did not take an event')
  }

  async function round (): Promise<number> {
    if (!db.isMigrated()) return IDLE_MS
    const { sent, failed, givenUp, isMore } = await deliver({ db, sender, keys, counters, report })
    if (givenUp > 0) app.log.error({ events: givenUp }, 'the webhook\'s receiver was never told of these events: given up after a day')
    if (sent > 0 || failed === 0) pauseMs = 0
    else pauseMs = Math.min(Math.max(pauseMs * 2, FIRST_PAUSE_MS), LONGEST_PAUSE_MS)
    return pauseMs > 0 ? pauseMs * (0.75 + Math.random() / 2) : isMore ? 0 : IDLE_MS
  }

  function schedule (ms: number): void {
    if (closing) return
    timer = setTimeout(() => {
      running = round().then(schedule, (error: unknown) => {
        // Other components already log a PostgreSQL outage.
        if (!(error instanceof Refusal)) app.log.error({ err: error }, 'the outbox could not be read')
        schedule(FIRST_PAUSE_MS)
      })
    }, ms).unref()
  }

  app.addHook('onReady', async () => schedule(0))
  app.addHook('onClose', async () => {
    closing = true
    clearTimeout(timer)
    await running
    sender.close()
  })
}

export default fp(webhook, { name: 'webhook', fastify: '5.x', dependencies: ['database'] })
