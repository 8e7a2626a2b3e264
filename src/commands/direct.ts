import { ConfigError } from '../core/config-error.js'
import { inspect } from '../postgres/server-pool.js'

/**
 * Checks the address before migrations: through a pooler, several processes could run them at once.
 *
 * @param url undefined for the embedded database, which has no pooler
 * @throws {ConfigError} if the address leads to a pooler
 * @throws {UnusableDatabaseError} if the server cannot be used
 */
export async function requireDirect (url: string | undefined): Promise<void> {
  if (url !== undefined && (await inspect(url)).isPooled) {
    throw new ConfigError('DATABASE_URL', 'lead to PostgreSQL itself, not to a pooler: the lock that migrations take does not hold there')
  }
}
