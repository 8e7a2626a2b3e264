import { serviceMigrations } from '../../migrations/index.js'
import type { Config, Key } from '../config/config.js'
import { createSeal, DEFAULT_NAMESPACE, type Seal } from '../core/keys/seal.js'
import { destinationsOf } from '../events/outbox.js'
import { createDigestKey } from '../factors/recovery/digest-key.js'
import { isEmpty, readMigrations } from '../postgres/migrator.js'
import { openEmbedded } from '../postgres/embedded/pglite.js'
import type { Pool } from '../postgres/pool.js'
import { inspect, openPostgres } from '../postgres/server-pool.js'
import { createDb, type Db } from '../tables/db.js'
import { hasDatabase, prepareDatabaseDir, prepareDataDir } from '../postgres/embedded/data-dir.js'
import { sealKeysOf } from '../config/deployment-keys.js'
import { DataDirInUseError, takeLock } from '../postgres/embedded/lock.js'
import { openShared } from '../postgres/embedded/shared.js'
import { COMMAND_CONNECT_MS } from '../timing/limits.js'
import { CommandError } from './io.js'

/** Database and keys of a command, the same as the server's. */
export interface Context {
  config: Config
  db: Db
  /**
   * Seals and opens secrets.
   *
   * @throws {CommandError} if there are no keys yet: commands create none
   */
  readonly seal: Seal
  /**
   * Id of the key that seals now.
   *
   * @throws the same as `seal`
   */
  readonly sealKid: string
  /**
   * Returns the digest key.
   *
   * @throws the same as `seal`
   */
  digestKey: () => Promise<Buffer>
}

const NO_DATABASE = 'There is no database: DATABASE_URL is not set, and DATA_DIR has none. Set it, or start the service once; ' +
  '"countersign migrate up" makes one, too.'
const NO_TABLES = 'The database has no tables of Countersign. If it is the right one, make them: "countersign migrate up".'
const BEHIND = 'The tables are not up to date: run "countersign migrate up" first.'
const NO_KEYS = 'There are no keys in DATA_DIR: start the service once, or run "countersign migrate up".'

/** A command runs few statements at once. */
const CONNECTIONS = 3

/**
 * Runs work with the database alone. The embedded one is opened under the server's lock; while a service has it, statements go
 * through that service. Other statements have no time-out, because no client waits on a socket.
 *
 * @param makes true if a missing embedded database is created
 * @throws {CommandError} if it is missing and not created: the address of the right database may be missing by mistake
 */
export async function withPool<T> ({ databaseUrl, dataDir }: Config, work: (pool: Pool) => Promise<T>, makes = false): Promise<T> {
  if (databaseUrl !== undefined) {
    await inspect(databaseUrl, COMMAND_CONNECT_MS)
    const pool = openPostgres(databaseUrl, CONNECTIONS, () => {}, 0, COMMAND_CONNECT_MS)
    return await work(pool).finally(() => pool.close())
  }
  if (!makes && !hasDatabase(dataDir)) throw new CommandError(NO_DATABASE)
  await prepareDataDir(dataDir)
  const pool = await openOwn(dataDir).catch(async (error: unknown) => {
    const shared = error instanceof DataDirInUseError ? await openShared(dataDir) : undefined
    if (shared === undefined) throw error
    return shared
  })
  return await work(pool).finally(() => pool.close())
}

/** @throws {DataDirInUseError} if another process has the embedded database */
async function openOwn (dataDir: string): Promise<Pool> {
  const lock = await takeLock(dataDir)
  try {
    const pool = await openEmbedded(await prepareDatabaseDir(dataDir))
    return { ...pool, close: async () => { await pool.close().finally(() => lock.release()) } }
  } catch (error) {
    await lock.release()
    throw error
  }
}

/**
 * Runs work with the keys and the database, whose tables must be up to date. Makes no tables, with any MIGRATE: the database may be
 * the wrong one.
 *
 * @throws {CommandError} if the tables are missing or migrations are pending
 */
export async function withContext<T> (config: Config, work: (context: Context) => Promise<T>): Promise<T> {
  return await withPool(config, async ({ dialect }) => {
    const state = await readMigrations(dialect, serviceMigrations)
    if (state.pending.length > 0) throw new CommandError(isEmpty(state, serviceMigrations) ? NO_TABLES : BEHIND)
    const db = createDb(dialect, { destinations: destinationsOf(config) })
    return await work(Object.assign(keyed(db, await sealKeysOf(config)), { config, db }))
  })
}

/** Reports missing keys only to commands that need them. */
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
