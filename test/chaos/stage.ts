import { randomBytes } from 'node:crypto'
import { startServer, type ServerProcess } from '../helpers/server-process.js'
import { startRedisServer, type RedisServer } from '../helpers/redis-server.js'
import { tcpProxy, type TcpProxy } from '../helpers/tcp-proxy.js'
import type { Owner } from '../helpers/teardown.js'
import { until } from '../helpers/wait.js'
import { ORIGIN } from './passkey-life.js'
import { gather, type Person } from './people.js'
import { startPostgres, type PostgresServer } from './postgres-server.js'

/** Registers an undo function. They run in reverse order. */
export type Undo = (undo: () => unknown) => void

/** A replica of the service in its own process, with a separate network to each dependency. */
export interface Replica {
  base: string
  process: ServerProcess
  toPostgres: TcpProxy
  toRedis: TcpProxy
  /** Ends the process and starts a new one with the same proxies. @param signal @default SIGKILL */
  restart (signal?: NodeJS.Signals): Promise<void>
}

/** Tokens and proofs outlive the whole run. */
const ALWAYS = { LOG_LEVEL: 'info', NETWORK_LIMITS: 'off', ACCESS_SECONDS: '3600', OTP_FRESH_SECONDS: '3600', PASSKEY_ORIGINS: ORIGIN }

/** Environment of a scenario: its own servers, two replicas, users with verified sessions. */
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
  settings?: Record<string, string>
  postgresOptions?: string[]
  redisArgs?: string[]
}

/** Number of users at the start: enough for a load, and for the users that a scenario takes out of it. */
const PEOPLE = 40

/** Initial state of every stage: tables, keys, and users with a second factor. */
export interface Setting { data: string, keys: Record<string, string>, people: Person[] }

/** Prepares the setting once. A scenario starts on a copy, so it need not hash so many passwords. */
export async function prepareSetting (undo: Undo): Promise<Setting> {
  const keys = {
    JWT_KEYS: `chaos-jwt:${randomBytes(32).toString('base64url')}`,
    SEAL_KEYS: `chaos-seal:${randomBytes(32).toString('base64url')}`
  }
  const postgres = await startPostgres(undo, ['fsync=off'])
  const service = startServer(asOwner(undo), { ...ALWAYS, ...keys, DATABASE_URL: postgres.url })
  const people = await gather([await service.ready()], PEOPLE)
  await service.kill('SIGINT')
  await postgres.stop('fast')
  return { data: postgres.data, keys, people }
}

export async function setStage (
  undo: Undo,
  { data, keys, people }: Setting,
  { replicas = 2, settings = {}, postgresOptions = [], redisArgs = [] }: StageOptions = {}
): Promise<Stage> {
  const t = asOwner(undo)
  const [postgres, redis] = await Promise.all([startPostgres(undo, ['fsync=on', ...postgresOptions], data), startRedisServer(t, redisArgs)])
  const all: Record<string, string> = { ...ALWAYS, ...keys, ...settings }

  async function addReplica (more: Record<string, string> = {}): Promise<Replica> {
    const toPostgres = await tcpProxy(t, { host: '127.0.0.1', port: postgres.port })
    const toRedis = await tcpProxy(t, { host: '127.0.0.1', port: redis.port })
    const start = (port = '0') => startServer(
      t, { DATABASE_URL: toPostgres.url(postgres.url), REDIS_URL: toRedis.url(redis.url), ...all, ...more, PORT: port }
    )
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

  const added = await Promise.all(Array.from({ length: replicas }, () => addReplica()))
  return {
    postgres,
    redis,
    replicas: added,
    people: people.map((person) => ({ ...person, recoveryCodes: [...person.recoveryCodes] })),
    settings: all,
    addReplica,
    undo
  }
}

/** Makes the first user a staff member; the other users stay unchanged. */
export async function appointStaff (
  { postgres, people }: Pick<Stage, 'postgres' | 'people'>
): Promise<{ staff: Person, others: Person[] }> {
  const [staff, ...others] = people as [Person, ...Person[]]
  await postgres.query('update account set is_staff = true where username = $1', [staff.username])
  return { staff, others }
}

/** Adapts `undo` for the helpers of the tests. */
function asOwner (undo: Undo): Owner {
  return { teardown: undo }
}

/** Waits until the replica reports that it serves, with Redis. */
export async function ready ({ base }: Pick<Replica, 'base'>, deadlineMs = 30_000): Promise<void> {
  await until(`${base} to be ready`, async () => {
    const answer = await fetch(`${base}/readyz`).catch(() => null)
    return answer?.ok === true && ((await answer.json()) as { redis: string }).redis !== 'down'
  }, deadlineMs)
}
