import type { FastifyInstance } from 'fastify'
import revocationsRoutes from '../routes/revocations/index.js'
import type { SecondFactor } from './attach/second-factor.js'
import type { Key } from './core/keys/key-ring.js'
import { createRevocationLog } from './sessions/published/log.js'

/** Seconds for which an end is kept after the last access token of its session: clocks may differ. */
const KEEP_LONGER_SECONDS = 60

/** Registers the operation by which other services learn of ended sessions, and the log that it reads. */
export async function registerRevocations (
  app: FastifyInstance, { db, sessions }: SecondFactor, { accessSeconds, keys }: { accessSeconds: number, keys: readonly Key[] }
): Promise<void> {
  const keepSeconds = accessSeconds + KEEP_LONGER_SECONDS
  const log = createRevocationLog({
    db,
    onReading: sessions.onReading,
    keepSeconds,
    report (error) { app.log.warn({ err: error }, 'revocations: recent ends were not read; /revocations answers 503 until they are') }
  })
  await app.register(revocationsRoutes, {
    prefix: '/revocations',
    log,
    isFresh: () => sessions.state().areRevocationsFresh,
    nowSeconds: sessions.nowSeconds,
    keys,
    keepSeconds,
    onStart: (count) => { app.metrics.gauge('revocation_clients', 'Services that follow the revocations at this process', count) }
  })
  app.metrics.gauge('revocations_published', 'Ended sessions that /revocations lists', log.size)
}
