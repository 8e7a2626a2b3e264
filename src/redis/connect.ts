import { Cluster, Redis, type ClusterOptions, type Command } from 'ioredis'
import { parseRedisAddress } from './address.js'
import { CLUSTER_LIMITS, CONNECTION_LIMITS, SERVER_LIMITS } from './limits.js'
import { watch, type RedisLink, type RedisLog } from './link.js'

/** Runs a command in a span of a trace. */
export type TraceCommand = (name: string, run: () => Promise<unknown>) => Promise<unknown>

/**
 * Opens a connection of our own. An absent server is no error: the state is `'down'` until it answers.
 *
 * @throws {RedisAddressError} if the address cannot be read
 */
export function connectRedis (url: string, log: RedisLog, trace: TraceCommand | null = null): RedisLink {
  const address = parseRedisAddress(url)
  if (address.kind === 'server') return watch(traced(new Redis({ ...address.options, ...SERVER_LIMITS }), trace), log, true)
  /** With TLS, host names are not resolved first: a certificate is valid for a name. */
  const lookup: ClusterOptions = address.options.tls ? { dnsLookup: (name, found) => found(null, name) } : {}
  const options = { ...CLUSTER_LIMITS, ...lookup, redisOptions: { ...address.options, ...CONNECTION_LIMITS } }
  return watch(traced(new Cluster(address.nodes, options), trace), log, true)
}

/** Runs each command of a client in a span. A Cluster passes commands on to clients of its own, which are not traced again. */
function traced<Client extends Redis | Cluster> (client: Client, trace: TraceCommand | null): Client {
  if (trace === null) return client
  const send = client.sendCommand.bind(client) as (command: Command, ...more: unknown[]) => unknown
  client.sendCommand = (command: Command, ...more: unknown[]) => {
    void trace(command.name.toUpperCase(), () => {
      void send(command, ...more)
      return command.promise
    }).catch(() => {})   // the caller gets the error by the command
    return command.promise
  }
  return client
}
