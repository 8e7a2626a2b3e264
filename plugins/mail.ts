import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Counters } from '../src/core/counters.js'
import { Refusal } from '../src/core/refusals.js'
import type { Seal } from '../src/core/keys/seal.js'
import { createDeliveryLoop } from '../src/events/delivery-loop.js'
import { oldestMailSeconds } from '../src/events/mail/claims.js'
import { deliverMails } from '../src/events/mail/delivery.js'
import type { MessageSettings } from '../src/events/mail/message.js'
import { createMailSender, type MailSenderOptions } from '../src/events/mail/sender.js'

export interface MailOptions extends MailSenderOptions {
  seal: Seal
  settings: MessageSettings
  counters: Counters
}

/** How often the age of the oldest waiting mail is read, for the metrics. */
const AGE_MS = 15_000

/**
 * Mails notices and links from the outbox, which each decision writes in its own transaction. No request waits for it or depends
 * on it. While the mail server takes nothing, notices wait for three days, and links until their time is over.
 */
async function mail (app: FastifyInstance, { seal, settings, counters, ...options }: MailOptions): Promise<void> {
  const sender = await createMailSender(options)
  const { database: db } = app
  let oldestSeconds = 0
  let readAtMs = -Infinity

  async function readAge (): Promise<void> {
    if (performance.now() - readAtMs < AGE_MS) return
    readAtMs = performance.now()
    oldestSeconds = await oldestMailSeconds(db)
  }

  const loop = createDeliveryLoop({
    async round (isUpkeep) {
      const done = await deliverMails({ db, seal, sender, settings, counters, report, isUpkeep })
      if (done.givenUp > 0) app.log.error({ mails: done.givenUp }, 'notices could not be mailed for three days: given up')
      await readAge()
      return done
    },
    isReady: () => db.isMigrated(),
    onError (error) {
      // Other components already log a PostgreSQL outage.
      if (!(error instanceof Refusal)) app.log.error({ err: error }, 'the outbox could not be read')
    }
  })

  /** Logs one line for an outage of the mail server, not one for each mail. */
  function report (error: unknown): void {
    if (!loop.isPausing()) app.log.warn({ err: error }, 'the mail server did not take a mail')
  }

  app.metrics.gauge('mail_oldest_waiting_seconds', 'Age of the oldest mail that waits for the mail server', () => oldestSeconds)
  app.addHook('onReady', async () => { loop.start() })
  app.addHook('onClose', async () => {
    // First, since a round waits for a mail server that does not answer. The mail waits in the outbox.
    sender.close()
    await loop.stop()
  })
}

export default fp(mail, { name: 'mail', fastify: '5.x', dependencies: ['database', 'metrics'] })
