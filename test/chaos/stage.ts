import { randomBytes } from 'node:crypto'
import { startServer, type ServerProcess } from '../helpers/server-process.js'
import { startRedisServer, type RedisServer } from '../helpers/redis-server.js'
import { tcpProxy, type TcpProxy } from '../helpers/tcp-proxy.js'
import { until } from '../helpers/wait.js'
import { gather, type Person } from './people.js'
import { startPostgres, type PostgresServer } from './postgres-server.js'

/** Told of what must be undone, last first. */
export type Undo = (undo: () => unknown) => void

/** A replica of the service, as a process of its own, with a network of its own to each dependency. */
export interface Replica {
  base: string
  process: ServerProcess
  toPostgres: TcpProxy
  toRedis: TcpProxy
  /** SIGKILL, and a new one on the same proxies. */
  restart (signal?: NodeJS.Signals): Promise<void>
}

/** What a scenario plays on: servers of our own, two replicas, people with verified sessions. */
export interface Stage {
  postgres: PostgresServer
  redis: RedisServer
  replicas: Replica[]
  people: Person[]
  settings: Record<string, string>
  addReplica (settings?: Record<string, string>): Promise<Replica>
  undo: Undo
}

export interface StageOptions {
  replicas?: number
  people?: number
  settings?: Record<string, string>
  postgresOptions?: string[]
  redisArgs?: string[]
}

export async function setStage (undo: Undo, { replicas = 2, people = 40, settings = {}, postgresOptions = [], redisArgs = [] }: StageOptions = {}): Promise<Stage> {
  const t = { teardown: undo } as Parameters<typeof tcpProxy>[0]
  const [postgres, redis] = await Promise.all([startPostgres(undo, ['fsync=on', ...postgresOptions]), startRedisServer(t, redisArgs)])
  const all: Record<string, string> = {
    LOG_LEVEL: 'info',
    NETWORK_LIMITS: 'off',
    JWT_KEYS: `chaos-jwt:${randomBytes(32).toString('base64url')}`,
    SEAL_KEYS: `chaos-seal:${randomBytes(32).toString('base64url')}`,
    ...settings
  }

  async function addReplica (more: Record<string, string> = {}): Promise<Replica> {
    const toPostgres = await tcpProxy(t, { host: '127.0.0.1', port: postgres.port })
    const toRedis = await tcpProxy(t, { host: '127.0.0.1', port: redis.port })
    const start = (port = '0') => startServer(t, { DATABASE_URL: toPostgres.url(postgres.url), REDIS_URL: toRedis.url(redis.url), ...all, ...more, PORT: port })
    const first = start()
    const replica: Replica = {
      base: await first.listening(),
      process: first,
      toPostgres,
      toRedis,
      async restart (signal = 'SIGKILL') {
        await replica.process.kill(signal)
        replica.process = start(new URL(replica.base).port)
        await replica.process.listening()
      }
    }
    await ready(replica)
    return replica
  }

  const first = await addReplica()
  const others = await Promise.all(Array.from({ length: replicas - 1 }, () => addReplica()))
  const all_ = [first, ...others]
  return { postgres, redis, replicas: all_, people: await gather(all_.map(({ base }) => base), people), settings: all, addReplica, undo }
}

/** Until it says itself that it serves, with Redis. */
export async function ready ({ base }: Pick<Replica, 'base'>, deadlineMs = 30_000): Promise<void> {
  await until(`${base} to be ready`, async () => {
    const answer = await fetch(`${base}/readyz`).catch(() => null)
    return answer?.ok === true && ((await answer.json()) as { redis: string }).redis !== 'down'
  }, deadlineMs)
}
