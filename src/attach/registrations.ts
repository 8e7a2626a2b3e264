import { parsePostgresAddress, PostgresAddressError } from '../postgres/address.js'
import type { HostDatabase } from '../tables/host-database.js'
import type { HostRedis } from '../redis/host.js'

/** One registration of the plugin in this process. */
export interface Registration {
  /** Fastify server of the app, which its scopes share. Two registrations in one app are for two kinds of users. */
  app: object
  namespace: string
  schema: string
  database: HostDatabase
  redis: HostRedis | undefined
}

export interface Place {
  /**
   * Records the identity that PostgreSQL reports, because different pools and addresses may lead to one database.
   *
   * @throws {TypeError} if another registration in the app has the same tables
   */
  leadsTo (identity: string): void
  /** Releases the place. */
  release (): void
}

interface Entry {
  app: object
  namespace: string
  schema: string
  database: unknown
  redis: unknown
  identity?: string
}

const entries = new Set<Entry>()

/**
 * Adds a registration and refuses one that would share data with another. With the same tables, or the same namespace on
 * one Redis, users of one kind would be taken for users of the other.
 *
 * Two apps with the same tables and namespace, and connections of their own, are replicas in one process.
 *
 * @throws {TypeError}
 */
export function register ({ app, namespace, schema, database, redis }: Registration): Place {
  const entry: Entry = { app, namespace, schema, database: databaseOf(database), redis: redisOf(redis) }
  for (const other of entries) {
    const isReplica = other.app !== app && other.schema === schema && other.namespace === namespace
    const mayShare = isReplica && typeof database === 'string'
    if (other.database === entry.database && other.schema === schema && !mayShare) throw sharedTables(schema)
    if (other.namespace === namespace && other.redis === entry.redis && redis !== undefined && !isReplica) {
      throw new TypeError(
        `countersign: "namespace" must be another one than "${namespace}", which a registration on this Redis has already`
      )
    }
  }
  entries.add(entry)
  return {
    leadsTo (identity) {
      entry.identity = identity
      for (const other of entries) {
        if (other !== entry && other.app === app && other.identity === identity && other.schema === schema) throw sharedTables(schema)
      }
    },
    release: () => { entries.delete(entry) }
  }
}

const sharedTables = (schema: string) =>
  new TypeError(`countersign: "tables.schema" must be another one than "${schema}", which a registration on this database has already`)

const LOOPBACK = ['localhost', '127.0.0.1', '::1', '']

/** Returns the pool or the instance itself, or the normalised hosts and database of an address. */
function databaseOf (database: HostDatabase): unknown {
  if (typeof database !== 'string') return database
  try {
    const { hosts, user, database: name } = parsePostgresAddress(database)
    const nodes = hosts.map(({ host = '', port = 5432 }) => `${hostName(host)}:${port}`)
    return JSON.stringify([nodes.sort(), name || user])
  } catch (error) {
    // The code that opens the address refuses it.
    if (error instanceof PostgresAddressError) return database
    throw error
  }
}

const hostName = (host: string) => LOOPBACK.includes(host.toLowerCase()) ? 'localhost' : host.toLowerCase()

/** Options of an ioredis client that say where its keys are. */
interface ClientOptions { host?: string, port?: number, path?: string, db?: number, name?: string, sentinels?: unknown, keyPrefix?: string }

/** Returns the place of a client's keys, from its options; the client itself if it has no options. */
function redisOf (redis: HostRedis | undefined): unknown {
  const { options, startupNodes } = (redis ?? {}) as { options?: ClientOptions & { redisOptions?: ClientOptions }, startupNodes?: unknown }
  if (options === undefined) return redis
  const { host = '', port = 6379, path, db = 0, name, sentinels, keyPrefix = '' } = options
  const place = startupNodes ?? sentinels ?? path ?? `${hostName(host)}:${port}`
  return JSON.stringify([place, startupNodes === undefined ? db : 0, name ?? '', keyPrefix])
}
