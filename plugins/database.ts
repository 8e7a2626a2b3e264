import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { serviceMigrations } from '../migrations/index.js'
import { ConfigError } from '../src/core/config-error.js'
import { Refusal } from '../src/core/refusals.js'
import { isReadOnly } from '../src/postgres/errors.js'
import { migrateUp, readMigrations } from '../src/postgres/migrator.js'
import { openEmbedded } from '../src/postgres/embedded/pglite.js'
import type { Pool, PoolStats } from '../src/postgres/pool.js'
import { inspect, openPostgres } from '../src/postgres/server-pool.js'
import { createDb, type Db, type TraceStatement } from '../src/tables/db.js'
import { repeat } from '../src/timing/repeat.js'
import { reasonOf, UnusableDatabaseError } from '../src/postgres/unusable.js'
import { prepareDatabaseDir, prepareDataDir } from '../src/postgres/embedded/data-dir.js'
import { takeLock } from '../src/postgres/embedded/lock.js'
import { shareDatabase } from '../src/postgres/embedded/shared.js'

export interface DatabaseOptions {
  /** Undefined selects the embedded database under `dataDir`. */
  url: string | undefined
  dataDir: string
  poolSize: number
  migrate: boolean
  /** Destinations of events. */
  destinations: readonly string[]
  /** Runs each statement of a request in a span. */
  trace: TraceStatement | null
}

export interface Database extends Db {
  /** Separate connection of the revocation poller: behind other statements, it would delay every request. */
  pollerDb: Db
  /** Returns true if the tables fit this version. */
  isMigrated (): boolean
  /** Returns the reason, a sentence, why the database cannot be used at start; null once it can. */
  fault (): string | null
  stats (): PoolStats
}

declare module 'fastify' {
  interface FastifyInstance {
    database: Database
  }
}

/** Waits between attempts to reach PostgreSQL. The longest one limits how late its return is noticed. */
const PACE = { firstMs: 250, longestMs: 1_000 }
/** Connections lost within this time count as one event. */
const LOST_MS = 10_000

/** Fault of an unreachable database. */
export const AWAY = 'PostgreSQL does not answer.'
/** Reason why replicas are not ready while the address leads to a standby or a demoted primary. */
export const READ_ONLY = 'PostgreSQL is read-only: its address must lead to the primary.'
const BEHIND = 'The tables are not up to date: migrate them (MIGRATE=off).'

/** Logs one line for each reason, and one when the outage is over. */
function createOutageLog ({ log }: FastifyInstance) {
  const said = new Set<string>()
  return {
    away (reason: string): void {
      if (said.has(reason)) return
      said.add(reason)
      log.warn({ reason }, 'PostgreSQL cannot be used yet: 503 until it can')
    },
    back (): void {
      if (said.size > 0) log.info('PostgreSQL can be used')
      said.clear()
    }
  }
}

/** Logs one line for all connections of the pool, because they are lost together. */
function createLostLog ({ log }: FastifyInstance): (error: Error) => void {
  let lastAtMs = -Infinity
  return (error) => {
    if (performance.now() - lastAtMs > LOST_MS) log.warn({ reason: reasonOf(error) }, 'connections to PostgreSQL were lost')
    lastAtMs = performance.now()
  }
}

async function database (app: FastifyInstance, options: DatabaseOptions): Promise<void> {
  const { url, dataDir, poolSize, migrate, destinations, trace } = options
  const opened = url === undefined ? await openLocked(dataDir) : openRemote(url, poolSize, createLostLog(app))
  const closing = new AbortController()
  app.addHook('onClose', async () => {
    closing.abort()
    await opened.close()
  })
  const outage = createOutageLog(app)
  let fault: string | null = AWAY
  let unknownTold = false

  /**
   * Checks the server, and migrates the tables or waits for them.
   *
   * @throws {UnusableDatabaseError} if waiting cannot help
   * @throws {ConfigError} if migrations are pending and only a pooler is reachable: several replicas would migrate at once
   */
  async function prepare (): Promise<void> {
    const isPooled = url !== undefined && (await inspect(url)).isPooled
    const { pending, unknown } = await readMigrations(opened.pool.dialect, serviceMigrations)
    if (unknown.length > 0 && !unknownTold) app.log.warn({ unknown }, 'the tables are of a newer version')
    unknownTold ||= unknown.length > 0
    if (pending.length > 0) {
      if (!migrate) return wait(BEHIND)
      if (isPooled) {
        throw new ConfigError(
          'DATABASE_URL',
          'lead to PostgreSQL itself, not to a pooler, while there are tables to migrate (npm run migrate, over a direct address)'
        )
      }
      const done = await opened.withMigrator(({ dialect }) => migrateUp(dialect, serviceMigrations))
      for (const { name } of done) app.log.info({ name }, 'migrated')
    }
    fault = null
    outage.back()
  }

  function wait (forWhat: string, reason = forWhat): void {
    fault = forWhat
    outage.away(reason)
  }

  /** Returns true if the database can be used. */
  async function tryToPrepare (): Promise<boolean> {
    await prepare().catch((error: unknown) => {
      if (!(error instanceof Refusal)) throw error
      wait(isReadOnly(error) ? READ_ONLY : AWAY, reasonOf(error))
    })
    return fault === null
  }

  /** A dependency may start later; until then /readyz answers 503. A database that cannot be used ends the process. */
  const keepTrying = () => repeat(tryToPrepare, { ...PACE, signal: closing.signal, waitsFirst: true })

  if (!await tryToPrepare()) {
    keepTrying().catch((error: unknown) => {
      if (closing.signal.aborted) return
      const isFatal = error instanceof UnusableDatabaseError || error instanceof ConfigError
      if (isFatal) app.log.fatal({ reason: error.message }, 'the database cannot be used')
      else app.log.fatal({ err: error }, 'the migration failed')
      process.exitCode = 1
      void app.close()
    })
  }

  app.addHook('onRequest', (request, _reply, done) => {
    // A statement would fail for a missing column, which clients would not retry. Probes have no limit and are answered.
    const isRefused = fault === BEHIND && request.routeOptions.config.limit !== 'none'
    done(isRefused ? new Refusal('UNAVAILABLE', { retryAfterSeconds: 1 }, { cause: new Error(BEHIND) }) : undefined)
  })

  app.decorate('database', {
    ...createDb(opened.pool.dialect, { destinations, hasAccounts: true, renew: opened.pool.renew, trace }),
    pollerDb: createDb(opened.pollerPool.dialect, { renew: opened.pollerPool.renew }),
    isMigrated: () => fault === null,
    fault: () => fault,
    stats: () => opened.pool.stats()
  } satisfies Database)
}

interface Opened {
  pool: Pool
  pollerPool: Pool
  withMigrator<T> (work: (pool: Pool) => Promise<T>): Promise<T>
  close (): Promise<void>
}

function openRemote (url: string, poolSize: number, report: (error: Error) => void): Opened {
  const pool = openPostgres(url, poolSize, report)
  const pollerPool = openPostgres(url, 1, report)
  return {
    pool,
    pollerPool,
    // Replicas that start at once wait for each other's migration, without a limit.
    async withMigrator (work) {
      const own = openPostgres(url, 2, report, 0)
      return await work(own).finally(() => own.close())
    },
    close: async () => { await Promise.all([pool.close(), pollerPool.close()]) }
  }
}

async function openLocked (dataDir: string): Promise<Opened> {
  await prepareDataDir(dataDir)
  const lock = await takeLock(dataDir)
  const pool = await prepareDatabaseDir(dataDir).then(openEmbedded).catch(async (error: unknown) => {
    await lock.release()
    throw error
  })
  const endSharing = shareDatabase(lock, pool)
  return {
    pool,
    pollerPool: pool,
    withMigrator: (work) => work(pool),
    async close () {
      endSharing()
      await pool.close()
      await lock.release()
    }
  }
}

export default fp(database, { name: 'database', fastify: '5.x' })
