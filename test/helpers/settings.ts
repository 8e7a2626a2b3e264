import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { appDatabase } from './database.js'
import { embeddedDataDir } from './embedded-data.js'
import { stores } from './stores.js'
import type { Owner } from './teardown.js'
import { temporaryFolder } from './temporary-folder.js'

/** Environment variables of the service. */
export type Settings = Record<string, string>

/** Returns `JWT_KEYS` and `SEAL_KEYS`, one new key each. */
export function freshKeys (algorithm = 'HS256'): Settings {
  const signing = algorithm === 'EdDSA'
    ? generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'der' })
    : randomBytes(32)
  return { JWT_KEYS: `test-jwt:${signing.toString('base64url')}`, SEAL_KEYS: `test-seal:${randomBytes(32).toString('base64url')}` }
}

/** Returns a `DATA_DIR` that does not exist yet, in a folder that is removed at the end. */
export async function freshDataDir (t: Owner): Promise<string> {
  return join(await temporaryFolder(t), 'data')
}

/**
 * Returns settings for a service in its own process: new keys, a new folder, no network limits; a database of their own on the real
 * Postgres and the machine's Redis if there are any, otherwise embedded and without Redis. Several processes can share them.
 */
export async function freshSettings (t: Owner): Promise<Settings> {
  const { databaseUrl, redisUrl } = await stores()
  return {
    ...freshKeys(),
    NETWORK_LIMITS: 'off',
    DATA_DIR: databaseUrl === undefined ? await embeddedDataDir(t) : await freshDataDir(t),
    ...(databaseUrl === undefined ? {} : { DATABASE_URL: (await appDatabase(t, 'service')).url }),
    ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl })
  }
}
