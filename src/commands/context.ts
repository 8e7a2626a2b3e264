import { join } from 'node:path'
import { serviceMigrations } from '../../migrations/index.js'
import type { Config } from '../config.js'
import { createSeal, DEFAULT_NAMESPACE, type Seal } from '../core/seal.js'
import { createDigestKey } from '../db/digest-key.js'
import { migrateUp, pendingMigrations } from '../db/migrate.js'
import { openEmbedded } from '../db/embedded.js'
import type { Pool } from '../db/pool.js'
import { openPostgres } from '../db/postgres.js'
import { createDb, type Db } from '../db/tables.js'
import { prepareDataDir } from '../embedded/data-dir.js'
import { ringsOf } from '../embedded/keys.js'
import { takeLock } from '../embedded/lock.js'
import { requireDirect } from './direct.js'
import { CommandError } from './io.js'

/** What a command works with: the same database and keys as the server's. */
export interface Context {
  config: Config
  db: Db
  seal: Seal
  /** The key that seals now. */
  sealKid: string
  digestKey: () => Promise<Buffer>
}

/** A command runs few statements at once. */
const CONNECTIONS = 3
/** Somebody waits, and no load balancer: over a slow line, or on a machine that is busy, is no reason to fail. */
const CONNECT_MS = 10_000

/**
 * The database alone. Embedded, under the lock that the server takes: one of them at a time. Its statements have no
 * time-out: nobody waits on the other end of a socket.
 */
export async function withPool<T> ({ databaseUrl, dataDir }: Config, work: (pool: Pool) => Promise<T>): Promise<T> {
  if (databaseUrl !== undefined) {
    const pool = openPostgres(databaseUrl, CONNECTIONS, () => {}, 0, CONNECT_MS)
    return await work(pool).finally(() => pool.close())
  }
  await prepareDataDir(dataDir)
  const lock = await takeLock(dataDir)
  try {
    const pool = await openEmbedded(join(dataDir, 'postgres'))
    return await work(pool).finally(() => pool.close())
  } finally {
    await lock.release()
  }
}

/**
 * The database with its tables up to date, and the keys. Migrates as the server does, where MIGRATE is on.
 *
 * @throws {CommandError} if the tables are behind and MIGRATE is off
 * @throws {ConfigError} if they are and there is only a pooler to migrate through
 */
export async function withContext<T> (config: Config, work: (context: Context) => Promise<T>): Promise<T> {
  return await withPool(config, async ({ dialect }) => {
    if ((await pendingMigrations(dialect, serviceMigrations)).length > 0) {
      if (config.migrate === 'off') throw new CommandError('The tables are not up to date: run "countersign migrate up" first.')
      await requireDirect(config.databaseUrl)
      await migrateUp(dialect, serviceMigrations)
    }
    const { sealKeys } = await ringsOf(config)
    const db = createDb(dialect, { notifies: config.webhookUrl !== undefined })
    const seal = createSeal(sealKeys, DEFAULT_NAMESPACE)
    return await work({ config, db, seal, sealKid: sealKeys[0]!.kid, digestKey: createDigestKey(db, seal) })
  })
}
