import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import { startPostgres, type PostgresServer } from '../chaos/postgres-server.js'
import { startRedisServer } from '../helpers/redis-server.js'
import { startServer } from '../helpers/server-process.js'
import { until } from '../helpers/wait.js'

/** Registers an undo function. They run in reverse order. */
export type Undo = (undo: () => unknown) => void

export interface Service { base: string, pid: number }

/** Its own PostgreSQL and Redis, and any number of services on them. */
export interface Place {
  postgres: PostgresServer
  /** Settings of every service. */
  settings: Record<string, string>
  redis: Redis
  redisPid: number
  /** @param others override these settings */
  startService (others?: Record<string, string>): Promise<Service>
}

export async function makePlace (undo: Undo, postgresOptions: string[] = []): Promise<Place> {
  const t = { teardown: undo } as Parameters<typeof startServer>[0] & Parameters<typeof startRedisServer>[0]
  const [postgres, redisServer] = await Promise.all([startPostgres(undo, postgresOptions), startRedisServer(t)])
  const settings = {
    LOG_LEVEL: 'info',
    NETWORK_LIMITS: 'off',
    JWT_KEYS: `soak-jwt:${randomBytes(32).toString('base64url')}`,
    SEAL_KEYS: `soak-seal:${randomBytes(32).toString('base64url')}`,
    DATABASE_URL: postgres.url,
    REDIS_URL: redisServer.url
  }
  const redis = new Redis(redisServer.url)
  undo(() => redis.disconnect())
  return {
    postgres,
    settings,
    redis,
    redisPid: redisServer.pid,
    async startService (others = {}) {
      const service = startServer(t, { ...settings, ...others })
      const base = await service.listening()
      await until('the service to be ready', async () => (await fetch(`${base}/readyz`)).ok)
      return { base, pid: service.pid }
    }
  }
}
