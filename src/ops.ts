import type { FastifyInstance } from 'fastify'
import { AWAY, READ_ONLY } from '../plugins/database.js'
import networkLimits from '../plugins/network-limits.js'
import opsRoutes, { type Readiness } from '../routes/ops/index.js'
import { isFromThisMachine } from '../routes/requester.js'
import type { Hasher } from './accounts/hasher.js'
import type { SecondFactor } from './attach/second-factor.js'
import { servesOps, type Config } from './config/config.js'
import { storeOf } from './config/store.js'
import { createHttp } from './http.js'
import { noRedis, type RedisLink } from './redis/link.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** Returns the state of the stores at this moment; also served on OPS_PORT. */
    readiness: () => Readiness
  }
}

/** Parts of the service whose state the probes and metrics show. */
export interface OpsParts {
  config: Config
  redis: RedisLink
  factor: SecondFactor
  hasher: Hasher
}

/** Registers the probes, and `/metrics` unless it has an address of its own. */
export async function registerOps (app: FastifyInstance, { config, redis, factor, hasher }: OpsParts): Promise<void> {
  const { database } = app
  app.decorate('readiness', () => {
    const unready = factor.isReady() ? null : factor.sessions.state().isReadOnly ? READ_ONLY : AWAY
    const fault = database.fault() ?? factor.keyFault() ?? unready
    return { postgres: fault === AWAY ? 'down' as const : 'up' as const, redis: redis.state, fault }
  })
  describeState(app, { factor, hasher, redis })
  app.metrics.fact('store_info', 'The database in use', { store: storeOf(config).kind })
  await app.register(opsRoutes, {
    readiness: app.readiness,
    metrics: config.metrics === 'on' && !servesOps(config) ? () => app.metrics.text() : null,
    store: storeOf(config).name,
    showsStore: isFromThisMachine
  })
}

/** Builds `/metrics` and the probes for an address of their own, which the public cannot reach. Closes with the app. */
export async function buildOps (app: FastifyInstance, config: Config): Promise<FastifyInstance> {
  const ops = await createHttp(config)
  await ops.register(networkLimits, {
    redis: noRedis,
    namespace: 'ops',
    enabled: config.networkLimits === 'on',
    userIdOf: () => undefined
  })
  await ops.register(opsRoutes, {
    readiness: app.readiness,
    metrics: config.metrics === 'on' ? () => app.metrics.text() : null,
    store: storeOf(config).name,
    showsStore: () => true
  })
  app.addHook('onClose', async () => {
    ops.leaveAtOnce()
    await ops.close()
  })
  return ops
}

/** Registers the metrics of this process's state, read at scrape. */
function describeState (
  { metrics, database }: FastifyInstance,
  { factor: { sessions, counters }, hasher, redis }: Pick<OpsParts, 'factor' | 'hasher' | 'redis'>
): void {
  metrics.counters(counters)
  metrics.gauge('revocations_age_seconds', 'Age of the last answered revocation reading', () => sessions.state().revocationsAgeSeconds)
  metrics.counter('revocation_readings_own_total', 'Revocation readings that this process asked of PostgreSQL',
    () => sessions.state().readings.own)
  metrics.counter('revocation_readings_shared_total', 'Revocation readings that another replica made for this process',
    () => sessions.state().readings.shared)
  metrics.gauge('oldest_write_transaction_seconds',
    'For how long the oldest write transaction of the PostgreSQL server has been seen open',
    () => sessions.state().oldestWriteSeconds)
  metrics.gauge('sessions_remembered', 'Sessions this process knows to be alive', () => sessions.state().remembered)
  metrics.counter('session_reads_local_cache_total', 'Sessions found in the process', () => sessions.state().localCache)
  metrics.counter('session_reads_redis_total', 'Sessions found in Redis', () => sessions.state().copy)
  metrics.counter('session_reads_postgres_total', 'Sessions asked of PostgreSQL', () => sessions.state().postgres)
  metrics.gauge('hashes_waiting', 'Passwords that wait to be hashed', () => hasher.state().waiting)
  metrics.gauge('pool_waiting', 'Statements that wait for a connection', () => database.stats().waiting)
  metrics.gauge('redis_up', '1 if Redis answers', () => redis.state === 'up' ? 1 : 0)
  metrics.gauge('redis_breaker_open', '1 while Redis is configured and not asked', () => redis.state === 'down' ? 1 : 0)
}
