import { ConfigError } from '../config.js'
import { isPooled } from '../db/postgres.js'

/**
 * For whoever is about to migrate: several would do it at once.
 *
 * @param url undefined for the embedded database, which no pooler is in front of
 * @throws {ConfigError} if the address leads to a pooler
 */
export async function requireDirect (url: string | undefined): Promise<void> {
  if (url !== undefined && await isPooled(url)) throw new ConfigError('DATABASE_URL', 'lead to PostgreSQL itself, not to a pooler: the lock that migrations take does not hold there')
}
