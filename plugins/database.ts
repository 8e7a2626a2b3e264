import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { serviceMigrations } from '../migrations/index.js'
import { ConfigError } from '../src/config.js'
import { Refusal } from '../src/core/refusals.js'
import { isMigrated, migrateUp, pendingMigrations } from '../src/db/migrate.js'
import { openEmbedded } from '../src/db/embedded.js'
import type { Pool, PoolStats } from '../src/db/pool.js'
import { isPooled, openPostgres } from '../src/db/postgres.js'
import { createDb, type Db } from '../src/db/tables.js'
import { prepareDatabaseDir, prepareDataDir } from '../src/embedded/data-dir.js'
import { takeLock } from '../src/embedded/lock.js'

export interface DatabaseOptions {
  /** Undefined: Postgres inside the process, under `dataDir`. */
  url: string | undefined
  dataDir: string
  poolSize: number
  migrate: boolean
  /** Whether somebody outside is to be told of events. */
  notifies: boolean
}

export interface Database extends Db {
  /** The feed's own connection: it must not wait behind statements, since everybody waits for it then. */
  feedDb: Db
  /** Whether the tables are as this version needs them. */
  isMigrated (): boolean
  stats (): PoolStats
}

declare module 'fastify' {
  interface FastifyInstance {
    database: Database
  }
}

/** Between two tries to migrate a Postgres that does not answer yet. */
const RETRY_MS = 500

async function database (app: FastifyInstance, { url, dataDir, poolSize, migrate, notifies }: DatabaseOptions): Promise<void> {
  const report = (error: Error) => app.log.warn({ err: error }, 'a connection to PostgreSQL was lost')
  const opened = url === undefined ? await openLocked(dataDir) : openRemote(url, poolSize, report)
  const closing = new AbortController()
  let migrated = !migrate

  /** @throws {ConfigError} if there is something to migrate and only a pooler to do it through: several replicas would do it at once */
  async function migrateOnce (): Promise<void> {
    if (!await isMigrated(opened.pool.dialect, serviceMigrations)) await migrateNow()
    migrated = true
  }

  async function migrateNow (): Promise<void> {
    const isThroughPooler = url !== undefined && await isPooled(url)
    await opened.withMigrator(async ({ dialect }) => {
      if (isThroughPooler) {
        const pending = await pendingMigrations(dialect, serviceMigrations)
        if (pending.length > 0) throw new ConfigError('DATABASE_URL', 'lead to PostgreSQL itself, not to a pooler, while there are tables to migrate (npm run migrate, over a direct address)')
      } else {
        for (const { name } of await migrateUp(dialect, serviceMigrations)) app.log.info({ name }, 'migrated')
      }
    })
  }

  /** A dependency may come up after us: until then /readyz says 503. A broken migration is another matter. */
  async function migrateWhenPossible (): Promise<void> {
    while (!closing.signal.aborted && !migrated) {
      try {
        await migrateOnce()
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
        app.log.warn({ err: error.cause }, 'PostgreSQL does not answer yet')
        await delay(RETRY_MS * (0.8 + Math.random() * 0.4), undefined, { ref: false })
      }
    }
  }

  if (!migrated) {
    await migrateOnce().catch((error: unknown) => {
      if (!(error instanceof Refusal)) throw error
      app.log.warn({ err: error.cause }, 'PostgreSQL does not answer yet: serving 503 until it does')
      migrateWhenPossible().catch((broken: unknown) => {
        app.log.fatal({ err: broken }, 'the migration failed')
        process.exitCode = 1
        void app.close()
      })
    })
  }

  app.decorate('database', {
    ...createDb(opened.pool.dialect, { notifies, hasAccounts: true }),
    feedDb: createDb(opened.feedPool.dialect),
    isMigrated: () => migrated,
    stats: () => opened.pool.stats()
  } satisfies Database)
  app.addHook('onClose', async () => {
    closing.abort()
    await opened.close()
  })
}

interface Opened {
  pool: Pool
  feedPool: Pool
  withMigrator<T> (work: (pool: Pool) => Promise<T>): Promise<T>
  close (): Promise<void>
}

function openRemote (url: string, poolSize: number, report: (error: Error) => void): Opened {
  const pool = openPostgres(url, poolSize, report)
  const feedPool = openPostgres(url, 1, report)
  return {
    pool,
    feedPool,
    // Replicas that start at once wait for each other's migration: that takes as long as it takes.
    async withMigrator (work) {
      const own = openPostgres(url, 2, report, 0)
      return await work(own).finally(() => own.close())
    },
    close: async () => { await Promise.all([pool.close(), feedPool.close()]) }
  }
}

async function openLocked (dataDir: string): Promise<Opened> {
  await prepareDataDir(dataDir)
  const lock = await takeLock(dataDir)
  const pool = await prepareDatabaseDir(dataDir).then(openEmbedded).catch(async (error: unknown) => {
    await lock.release()
    throw error
  })
  return {
    pool,
    feedPool: pool,
    withMigrator: (work) => work(pool),
    async close () {
      await pool.close()
      await lock.release()
    }
  }
}

export default fp(database, { name: 'database', fastify: '5.x' })
