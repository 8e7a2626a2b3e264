import { Cluster, Redis, type ClusterOptions } from 'ioredis'
import { parseRedisAddress } from './address.js'
import { CLUSTER_LIMITS, CONNECTION_LIMITS, SERVER_LIMITS } from './limits.js'
import { watch, type RedisLink, type RedisLog } from './link.js'

/**
 * Opens a connection of our own. An absent server is no error: the state is `'down'` until it answers.
 *
 * @throws {RedisAddressError} if the address cannot be read
 */
export function connectRedis (url: string, log: RedisLog): RedisLink {
  const address = parseRedisAddress(url)
  if (address.kind === 'server') return watch(new Redis({ ...address.options, ...SERVER_LIMITS }), log, true)
  /** With TLS, host names are not resolved first: a certificate is valid for a name. */
  const lookup: ClusterOptions = address.options.tls ? { dnsLookup: (name, found) => found(null, name) } : {}
  const options = { ...CLUSTER_LIMITS, ...lookup, redisOptions: { ...address.options, ...CONNECTION_LIMITS } }
  return watch(new Cluster(address.nodes, options), log, true)
}
