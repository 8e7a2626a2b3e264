import type { FastifyBaseLogger } from 'fastify'
import { reasonOf } from '../postgres/unusable.js'
import { openHostRedis } from '../redis/host.js'
import { openHostDatabase } from '../tables/host-database.js'
import type { CheckedOptions } from './options.js'
import { register } from './registrations.js'
import type { Stores } from './second-factor.js'
import { listening, passOver } from './start.js'
import { requireTables } from './tables.js'

/** Fastify app of the registration, or one of its scopes. */
interface App { server: object, log: FastifyBaseLogger }

/**
 * Opens the database and Redis of a host.
 *
 * @throws {TypeError} if another registration in this process has the same tables or namespace
 */
export async function openHostStores ({ server, log }: App, options: CheckedOptions): Promise<Stores> {
  const { namespace, schema } = options
  const place = register({ app: server, namespace, schema, database: options.database, redis: options.redis })
  const report = (error: Error) => log.warn({ reason: reasonOf(error) }, 'a connection to PostgreSQL was lost')
  const database = await openHostDatabase(options.database, schema, report).catch((error: unknown) => {
    place.release()
    throw error
  })
  const redis = openHostRedis(options.redis, log)
  return {
    db: listening(log, database.db, options.onSecurityEvent),
    pollerDb: database.pollerDb,
    redis: redis.link,
    schema,
    isKnownAway: () => false,
    async prepare (identity) {
      const isThere = await requireTables(options.database, schema, log)
      if (isThere) await identity().then(({ database }) => { place.leadsTo(database) }, passOver)
      return isThere
    },
    close: () => redis.close().then(() => database.close()).finally(() => { place.release() })
  }
}
