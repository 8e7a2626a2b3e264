import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { host, service, type Door } from '../../helpers/door.js'
import { mailServer, type MailServer } from '../../helpers/mail-server.js'
import { startNode, type NodeProcess } from '../../helpers/node-process.js'
import { startRedisServer, type RedisServer } from '../../helpers/redis-server.js'
import { freshKeys } from '../../helpers/settings.js'
import { targetOf } from '../../helpers/tcp-proxy.js'
import type { Owner } from '../../helpers/teardown.js'
import { until } from '../../helpers/wait.js'
import { wallClock, type WallClock } from '../../chaos/wall-clock.js'
import { createRandom, type Random } from '../random.js'
import type { Databases } from './databases.js'
import * as framing from './framing.js'
import { statementProxy, type StatementFault, type StatementProxy } from './statement-proxy.js'

/** A process that answers requests, with a network of its own to each store. */
export interface Replica {
  name: string
  base: string
  door: Door
  toPostgres: StatementProxy
  toRedis: StatementProxy
  process: NodeProcess
  /** Wall clock, if it can be set. */
  clock?: WallClock
}

/** Two replicas of the service, and a host with the plugin. */
export interface Stage {
  replicas: Replica[]
  databases: Databases
  redis: RedisServer
  mail: MailServer
  /** Settings of a command of operators, without a proxy. */
  commandSettings (): Record<string, string>
  /** Statements with a fault, by fault. */
  counts: Record<string, number>
}

export interface StageOptions {
  random: Random
  /** Planted bug: environment of the replicas, with the statements that change. */
  plant?: Record<string, string>
  /** One replica gets a wall clock that can be set. Needs libfaketime. */
  hasClock: boolean
}

export const ORIGIN = 'https://app.example.org'
const ROOT = join(import.meta.dirname, '../../../..')
const PRELOAD = pathToFileURL(join(import.meta.dirname, 'plant-preload.js')).href
/** Tokens and proofs outlive the whole run. */
const ALWAYS = {
  LOG_LEVEL: 'info',
  NETWORK_LIMITS: 'off',
  ACCESS_SECONDS: '3600',
  OTP_FRESH_SECONDS: '3600',
  PASSKEY_ORIGINS: ORIGIN,
  PORT: '0',
  MAIL_FROM: 'Countersign <countersign@example.org>',
  PUBLIC_URL: ORIGIN
}
const READY_MS = 60_000

export async function setStage (t: Owner, databases: Databases, { random, plant, hasClock }: StageOptions): Promise<Stage> {
  const [redis, mail] = await Promise.all([startRedisServer(t), mailServer(t)])
  const counts: Record<string, number> = {}
  const settings = { ...ALWAYS, ...freshKeys(), MAIL_URL: mail.url }
  const count = (store: string) => (fault: StatementFault) => {
    const name = `${store}: ${fault}`
    counts[name] = (counts[name] ?? 0) + 1
  }

  async function addReplica (name: string, door: Door, program: string, clock?: WallClock): Promise<Replica> {
    const own = createRandom(random.between(0, 2 ** 31))
    const toPostgres = await statementProxy(t, {
      framing: framing.postgres, target: databases.target(), random: own.fork(), count: count('PostgreSQL')
    })
    const toRedis = await statementProxy(t, {
      framing: framing.redis, target: targetOf(redis.url), random: own.fork(), count: count('Redis')
    })
    const child = startNode(t, [...(plant === undefined ? [] : [`--import=${PRELOAD}`]), program], {
      ...settings,
      ...plant,
      ...clock?.settings,
      ORIGIN,
      DATABASE_URL: throughPort(databases.urls[door.isHost ? 'host' : 'service'], toPostgres.port),
      REDIS_URL: throughPort(redis.url, toRedis.port)
    }, ROOT)
    const base = await child.saying(/Server listening at (http:\/\/[^"\s]+)/, `${name} to listen`)
    await until(`${name} to be ready`, async () => (await fetch(base + door.path('/readyz')).catch(() => null))?.ok === true, READY_MS)
    return { name, base, door, toPostgres, toRedis, process: child, ...(clock === undefined ? {} : { clock }) }
  }

  const clock = hasClock ? await wallClock((undo) => t.teardown(undo), 0) : undefined
  const [server, hosting] = [join(ROOT, 'build/src/server.js'), join(import.meta.dirname, 'host-program.js')]
  const replicas = await Promise.all([
    addReplica('a', service, server), addReplica('b', service, server, clock), addReplica('host', host, hosting)
  ])
  return {
    replicas,
    databases,
    redis,
    mail,
    counts,
    commandSettings: () => ({
      ...settings, DATABASE_URL: throughPort(databases.urls.service, databases.target().port), REDIS_URL: redis.url
    })
  }
}

function throughPort (url: string, port: number): string {
  const address = new URL(url)
  address.hostname = '127.0.0.1'
  address.port = String(port)
  return address.href
}
