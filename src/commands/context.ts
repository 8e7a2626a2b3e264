import { serviceMigrations } from '../../migrations/index.js'
import type { Config, Key } from '../config/config.js'
import { createSeal, DEFAULT_NAMESPACE, type Seal } from '../core/seal.js'
import { createDigestKey } from '../factors/recovery/digest-key.js'
import { migrateUp, readMigrations } from '../postgres/migrator.js'
import { openEmbedded } from '../postgres/embedded/pglite.js'
import type { Pool } from '../postgres/pool.js'
import { inspect, openPostgres } from '../postgres/server-pool.js'
import { createDb, type Db } from '../tables/db.js'
import { hasDatabase, prepareDatabaseDir, prepareDataDir } from '../postgres/embedded/data-dir.js'
import { sealKeysOf } from '../config/deployment-keys.js'
import { takeLock } from '../postgres/embedded/lock.js'
import { requireDirect } from './direct.js'
import { CommandError } from './io.js'

/** What a command works with: the same database and keys as the server's. */
export interface Context {
  config: Config
  db: Db
  /** @throws {CommandError} if there are no keys yet: commands make none */
  readonly seal: Seal
  /** The key that seals now. @throws as `seal` */
  readonly sealKid: string
  /** @throws as `seal` */
  digestKey: () => Promise<Buffer>
}

const NO_DATABASE = 'There is no database: DATABASE_URL is not set, and DATA_DIR has none. Set it, or start the service once; ' +
  '"countersign migrate up" makes one, too.'
const NO_KEYS = 'There are no keys in DATA_DIR: start the service once, or run "countersign migrate up".'

/** A command runs few statements at once. */
const CONNECTIONS = 3
/** Somebody waits, and no load balancer: over a slow line, or on a machine that is busy, is no reason to fail. */
const CONNECT_MS = 10_000

/**
 * The database alone. Embedded, under the lock that the server takes: one of them at a time. Its statements have no
 * time-out: nobody waits on the other end of a socket.
 *
 * @param makes whether an embedded database is made where there is none
 * @throws {CommandError} if there is none, and none is made: the address of the right one may be missing by mistake
 */
export async function withPool<T> ({ databaseUrl, dataDir }: Config, work: (pool: Pool) => Promise<T>, makes = false): Promise<T> {
  if (databaseUrl !== undefined) {
    await inspect(databaseUrl, CONNECT_MS)
    const pool = openPostgres(databaseUrl, CONNECTIONS, () => {}, 0, CONNECT_MS)
    return await work(pool).finally(() => pool.close())
  }
  if (!makes && !hasDatabase(dataDir)) throw new CommandError(NO_DATABASE)
  await prepareDataDir(dataDir)
  const lock = await takeLock(dataDir)
  try {
    const pool = await openEmbedded(await prepareDatabaseDir(dataDir))
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
    if ((await readMigrations(dialect, serviceMigrations)).pending.length > 0) {
      if (config.migrate === 'off') throw new CommandError('The tables are not up to date: run "countersign migrate up" first.')
      await requireDirect(config.databaseUrl)
      await migrateUp(dialect, serviceMigrations)
    }
    const db = createDb(dialect, { notifies: config.webhookUrl !== undefined })
    return await work(Object.assign(keyed(db, await sealKeysOf(config)), { config, db }))
  })
}

/** Commands that need no key work where there is none. */
function keyed (db: Db, sealKeys: readonly Key[] | undefined): Pick<Context, 'seal' | 'sealKid' | 'digestKey'> {
  if (sealKeys !== undefined) {
    const seal = createSeal(sealKeys, DEFAULT_NAMESPACE)
    return { seal, sealKid: sealKeys[0]!.kid, digestKey: createDigestKey(db, sealKeys, DEFAULT_NAMESPACE) }
  }
  return {
    get seal (): Seal { throw new CommandError(NO_KEYS) },
    get sealKid (): string { throw new CommandError(NO_KEYS) },
    digestKey: async () => { throw new CommandError(NO_KEYS) }
  }
}
