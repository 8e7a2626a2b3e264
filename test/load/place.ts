import { join } from 'node:path'
import { serviceMigrations } from '../../migrations/index.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openEmbedded } from '../../src/postgres/embedded/pglite.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createDb, type Db } from '../../src/tables/db.js'
import { prepareDataDir } from '../../src/postgres/embedded/data-dir.js'
import { emptyDatabase } from '../helpers/database.js'
import { freshKeys, type Settings } from '../helpers/settings.js'
import type { Stores } from '../helpers/stores.js'
import type { Owner } from '../helpers/teardown.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'

const A_DAY = '86400'

/**
 * Returns the environment of a service with its own keys, folder and (on a real server) database. Network limits are off,
 * because there is only one network; tokens outlive any run. It shares the key space of Redis with other programs: user ids are
 * random, and every key expires within 90 s.
 */
export async function makePlace (owner: Owner, { databaseUrl, redisUrl }: Stores): Promise<Settings> {
  return {
    ...freshKeys(),
    NETWORK_LIMITS: 'off',
    DATA_DIR: await temporaryFolder(owner),
    ACCESS_SECONDS: A_DAY,
    ...(databaseUrl === undefined ? {} : { DATABASE_URL: await emptyDatabase(owner, databaseUrl) }),
    ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl })
  }
}

/** Lends the migrated database before the service runs: an embedded database allows one process at a time. */
export async function withDatabase<T> ({ DATABASE_URL: url, DATA_DIR: dataDir = '' }: Settings, work: (db: Db) => Promise<T>): Promise<T> {
  if (url === undefined) await prepareDataDir(dataDir)
  const pool = url === undefined ? await openEmbedded(join(dataDir, 'postgres')) : openPostgres(url, 2, () => {}, 0)
  try {
    await migrateUp(pool.dialect, serviceMigrations)
    return await work(createDb(pool.dialect))
  } finally {
    await pool.close()
  }
}
