import type { ClusterOptions, RedisOptions } from 'ioredis'
import { replyCode } from './faults.js'
import { COMMAND_TIMEOUT_MS } from './in-time.js'

/** A connection that owes an answer for this long is torn down: half-open TCP would hold it for a quarter of an hour. */
const SOCKET_TIMEOUT_MS = 500
const CONNECT_TIMEOUT_MS = 1000
/** How often Redis is asked while it is down, and while it is up: an idle replica notices too. A tenth more or less, by chance. */
export const PROBE_DOWN_MS = 250
export const PROBE_UP_MS = 1000

/** Reconnects forever, with jitter so that replicas don't arrive in step, and soon enough to be back within 2 s. */
const retryDelayMs = (attempt: number): number => Math.min(50 * attempt, 350) + Math.random() * 150

/** `maxRetriesPerRequest: 0`: what was in flight when a connection closed is refused at once, never sent twice. */
export const CONNECTION_LIMITS = {
  enableAutoPipelining: true,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: 0,
  maxLoadingRetryTime: PROBE_DOWN_MS,
  connectTimeout: CONNECT_TIMEOUT_MS,
  disconnectTimeout: COMMAND_TIMEOUT_MS,
  socketTimeout: SOCKET_TIMEOUT_MS,
  lazyConnect: false
} satisfies RedisOptions

export const SERVER_LIMITS = {
  ...CONNECTION_LIMITS,
  enableOfflineQueue: false,
  retryStrategy: retryDelayMs,
  sentinelRetryStrategy: retryDelayMs,
  sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
  /** After a failover: leave the demoted master, ask the Sentinels anew. */
  reconnectOnError: (error: Error) => replyCode(error) === 'READONLY'
} satisfies RedisOptions

/** No delayed retries inside ioredis: nobody waits that long. The slots are read anew each second and after each MOVED. */
export const CLUSTER_LIMITS = {
  enableOfflineQueue: false,
  enableAutoPipelining: true,
  lazyConnect: false,
  maxRedirections: 4,
  retryDelayOnFailover: 0,
  retryDelayOnClusterDown: 0,
  slotsRefreshInterval: PROBE_UP_MS,
  slotsRefreshTimeout: SOCKET_TIMEOUT_MS,
  clusterRetryStrategy: retryDelayMs
} satisfies ClusterOptions
