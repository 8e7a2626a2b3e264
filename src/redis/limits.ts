import type { ClusterOptions, RedisOptions } from 'ioredis'
import { replyCode } from './faults.js'
import { REDIS_COMMAND_MS, REDIS_CONNECT_MS, REDIS_SOCKET_MS } from '../timing/limits.js'

/** Intervals of the probe while Redis is down and while it is up, plus or minus a tenth at random. An idle replica probes too. */
export const PROBE_DOWN_MS = 250
export const PROBE_UP_MS = 1000

/** Delay before the next reconnection: without an end, with jitter between replicas, and short enough to be back within 2 s. */
const retryDelayMs = (attempt: number): number => Math.min(50 * attempt, 350) + Math.random() * 150

/** `maxRetriesPerRequest: 0`: a command in flight on a closed connection fails at once and is never sent twice. */
export const CONNECTION_LIMITS = {
  enableAutoPipelining: true,
  // Commands of an idle process: a pipeline for one command costs several times the command.
  autoPipeliningIgnoredCommands: ['del', 'lpop', 'ping', 'publish', 'rpush'],
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: 0,
  maxLoadingRetryTime: PROBE_DOWN_MS,
  connectTimeout: REDIS_CONNECT_MS,
  disconnectTimeout: REDIS_COMMAND_MS,
  socketTimeout: REDIS_SOCKET_MS,
  lazyConnect: false
} satisfies RedisOptions

export const SERVER_LIMITS = {
  ...CONNECTION_LIMITS,
  enableOfflineQueue: false,
  retryStrategy: retryDelayMs,
  sentinelRetryStrategy: retryDelayMs,
  sentinelCommandTimeout: REDIS_COMMAND_MS,
  /** After a failover: leaves the demoted master and asks the Sentinels again. */
  reconnectOnError: (error: Error) => replyCode(error) === 'READONLY'
} satisfies RedisOptions

/** No delayed retries inside ioredis: requests do not wait that long. It reads the slots each second and after each MOVED. */
export const CLUSTER_LIMITS = {
  enableOfflineQueue: false,
  enableAutoPipelining: true,
  lazyConnect: false,
  maxRedirections: 4,
  retryDelayOnFailover: 0,
  retryDelayOnClusterDown: 0,
  slotsRefreshInterval: PROBE_UP_MS,
  slotsRefreshTimeout: REDIS_SOCKET_MS,
  clusterRetryStrategy: retryDelayMs
} satisfies ClusterOptions
