import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Refusal } from '../src/core/refusals.js'
import { repeat } from '../src/timing/repeat.js'
import { coverSessions, noteCovered, putPolicy, type Place, type Policy } from '../src/sessions/policy.js'

/** Time between two attempts while PostgreSQL does not answer. */
const RETRY_MS = 1_000
/** Longer than the limit of a statement: by then, each log-in that read the old policy has ended. */
const SETTLE_MS = 2_000

/**
 * Applies OTP_POLICY at start. A session gets its deadline when it starts. Existing sessions are updated here, in small
 * pages, and once more after each log-in that began earlier has ended. A local cache may keep a session for a minute, so
 * the change takes effect at most that late.
 */
async function policy (app: FastifyInstance, wanted: Policy): Promise<void> {
  const { database } = app
  const closing = new AbortController()
  let running: Promise<unknown> = Promise.resolve()

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

  /** PostgreSQL may start later than this process; until then no log-in succeeds either. */
  const keepTrying = (isPut: boolean) => repeat(async () => {
    if (!database.isMigrated()) return false
    try {
      await enforce(isPut || await putPolicy(database, wanted))
      return true
    } catch (error) {
      if (!closing.signal.aborted && !(error instanceof Refusal)) app.log.error({ err: error }, 'the policy could not be put in force')
      return false
    }
  }, { firstMs: RETRY_MS, signal: closing.signal })

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
