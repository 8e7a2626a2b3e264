import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Refusal } from '../src/core/refusals.js'
import { coverSessions, noteCovered, putPolicy, type Place, type Policy } from '../src/sessions/policy.js'

/** Between two tries while Postgres does not answer; a fifth more or less, so that replicas do not come in step. */
const RETRY_MS = 1_000
/** Longer than any statement may take: a log-in that read the policy of before has come to an end by then. */
const SETTLE_MS = 2_000

/**
 * Puts OTP_POLICY in force at start. Sessions fix their deadline when they start; those that are there already are
 * covered here, in small pages, and once more when every log-in that had begun before is over. Whoever remembers a
 * session may do so for a minute: that is how late the change is noticed.
 */
async function policy (app: FastifyInstance, wanted: Policy): Promise<void> {
  const { database } = app
  const closing = new AbortController()
  let running: Promise<void> = Promise.resolve()

  async function coverAll (): Promise<void> {
    let place: Place | null = null
    do {
      place = await coverSessions(database, place)
    } while (place !== null && !closing.signal.aborted)
  }

  async function enforce (isDue: boolean): Promise<void> {
    if (!isDue) return
    await coverAll()
    await delay(SETTLE_MS, undefined, { ref: false, signal: closing.signal })
    await coverAll()
    await noteCovered(database, wanted)
    app.log.info(wanted, 'the policy is in force')
  }

  /** Postgres may come up later than we do; until then nobody logs in either. */
  async function keepTrying (isPut: boolean): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        if (database.isMigrated()) {
          await enforce(isPut || await putPolicy(database, wanted))
          return
        }
      } catch (error) {
        if (closing.signal.aborted) return
        if (!(error instanceof Refusal)) app.log.error({ err: error }, 'the policy could not be put in force')
      }
      await delay(RETRY_MS * (0.8 + Math.random() * 0.4), undefined, { ref: false, signal: closing.signal }).catch(() => {})
    }
  }

  app.addHook('onReady', async () => {
    const isDue = database.isMigrated() ? await putPolicy(database, wanted).catch(() => null) : null
    if (isDue !== false) running = keepTrying(isDue === true)
  })
  app.addHook('onClose', async () => {
    closing.abort()
    await running
  })
}

export default fp(policy, { name: 'policy', fastify: '5.x', dependencies: ['database'] })
