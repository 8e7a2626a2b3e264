import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { Refusal } from '../src/core/refusals.js'
import { asCleaner, cleanUp } from '../src/cleanup/cleanup.js'
import { isForbidden, turnEventTables } from '../src/cleanup/event-tables.sql.js'
import type { Harden } from '../src/factors/recovery/hardening.js'
import type { Db } from '../src/tables/db.js'
import type { Counters } from '../src/core/counters.js'

export interface CleanupOptions {
  db: Db
  counters: Counters
  /** Returns true once the tables exist. */
  isReady: () => boolean
  /** Hashes digests of imported codes slowly. */
  harden: Harden
  /** Days for which security events are kept. */
  eventsDays: number
  /** Days for which the ids of a host's ended sessions are kept. */
  endedSessionDays: number
}

/** Time between two runs, and between two batches while rows remain. */
const IDLE_MS = 60_000
const BUSY_MS = 250
/** Codes that are hashed in one run: some 40 ms of one core for each. */
const MOST_HASHED = 16

/**
 * Deletes rows that are no longer needed, and hashes imported codes, in small batches, on one replica at a time. No request waits
 * for it or depends on it.
 */
async function cleanup (
  app: FastifyInstance, { db, counters, isReady, harden, eventsDays, endedSessionDays }: CleanupOptions
): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()

  let isForbiddenToTurn = false

  /** Returns true if there is more to do. Without the right to make tables, old events are deleted one by one, as other rows. */
  async function turn (): Promise<boolean> {
    const turned = await turnEventTables(db, eventsDays).catch((error: unknown) => {
      if (!isForbidden(error)) throw error
      if (!isForbiddenToTurn) app.log.warn({ err: error }, 'the role may not make tables: old events are deleted one by one')
      isForbiddenToTurn = true
      return null
    })
    if (turned === null) return false
    if (turned.counters > 0) counters.count('deleted_rows_total', ['counters'], turned.counters)
    if (turned.closed !== null) app.log.info({ table: turned.closed }, 'new events go into another table')
    if (turned.dropped !== null) app.log.info({ table: turned.dropped }, 'dropped a table of old events')
    return turned.isMore
  }

  async function once (): Promise<boolean> {
    const deleted = isReady() ? await cleanUp(db, eventsDays, endedSessionDays) : null
    for (const [kind, count] of Object.entries(deleted?.rowsByKind ?? {})) counters.count('deleted_rows_total', [kind], count)
    const isMoreToHash = deleted !== null && await hash()
    const isMoreToTurn = deleted !== null && await turn()
    return deleted?.isMore === true || isMoreToHash || isMoreToTurn
  }

  /** Returns true if there is more to do. One replica at a time uses its processor for it. */
  async function hash (): Promise<boolean> {
    for (let i = 0; i < MOST_HASHED; i++) if (await asCleaner(db, harden) !== true) return false
    return true
  }

  function schedule (ms: number): void {
    timer = setTimeout(() => {
      running = once().then((isMore) => schedule(isMore ? BUSY_MS : IDLE_MS * (0.5 + Math.random())), (error: unknown) => {
        // Other components already log a PostgreSQL outage.
        if (!(error instanceof Refusal)) app.log.error({ err: error }, 'cleanup failed')
        schedule(IDLE_MS)
      })
    }, ms).unref()
  }

  app.addHook('onReady', async () => schedule(IDLE_MS * Math.random()))
  app.addHook('onClose', async () => {
    clearTimeout(timer)
    await running
    clearTimeout(timer)
  })
}

export default fp(cleanup, { name: 'cleanup', fastify: '5.x' })
