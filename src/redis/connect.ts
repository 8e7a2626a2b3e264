import { Cluster, Redis, type ClusterOptions } from 'ioredis'
import { parseRedisAddress } from './address.js'
import { CLUSTER_LIMITS, CONNECTION_LIMITS, SERVER_LIMITS } from './limits.js'
import { watch, type RedisLink, type RedisLog } from './link.js'

/**
 * Our own connection. An absent server is no error: the state is `'down'` until it comes.
 *
 * @throws RedisAddressError if the address cannot be read.
 */
export function connectRedis (url: string, log: RedisLog): RedisLink {
  const address = parseRedisAddress(url)
  if (address.kind === 'server') return watch(new Redis({ ...address.options, ...SERVER_LIMITS }), log, true)
  /** Over TLS a name must stay a name, or no certificate fits it. */
  const lookup: ClusterOptions = address.options.tls ? { dnsLookup: (name, found) => found(null, name) } : {}
  return watch(new Cluster(address.nodes, { ...CLUSTER_LIMITS, ...lookup, redisOptions: { ...address.options, ...CONNECTION_LIMITS } }), log, true)
}
