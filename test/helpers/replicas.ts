import { freshApp, type App } from './app.js'
import { appDatabase, type TestDatabase } from './database.js'
import { doorOf } from './door.js'
import { expect, type Person } from './person.js'
import { startRedisServer, type RedisServer } from './redis-server.js'
import { untilReady } from './readiness.js'
import type { Settings } from './settings.js'
import { targetOf, tcpProxy, type TcpProxy } from './tcp-proxy.js'
import type { Owner } from './teardown.js'
import { until } from './wait.js'

/** One of several instances on one database and one Redis, with a separate network to each. */
export interface Replica { app: App, redis: TcpProxy, postgres: TcpProxy }

export interface Replicas {
  namespace: string
  db: TestDatabase & { url: string }
  redisServer: RedisServer
  replicas: Replica[]
  /** Starts another replica. */
  another (settings?: Settings): Promise<Replica>
}

/** Needs Postgres and redis-server. Waits until each replica is ready, with Redis. */
export async function startReplicas (t: Owner, count: number, settings: Settings = {}, namespace = 'replicas'): Promise<Replicas> {
  const db = await appDatabase(t, process.env['COUNTERSIGN_TEST_ATTACHED'] === '1' ? 'host' : 'service')
  const redisServer = await startRedisServer(t)

  async function networks (): Promise<{ redis: TcpProxy, postgres: TcpProxy, settings: Settings }> {
    const redis = await tcpProxy(t, targetOf(redisServer.url))
    const postgres = await tcpProxy(t, targetOf(db.url))
    return { redis, postgres, settings: { DATABASE_URL: postgres.url(db.url), REDIS_URL: redis.url(redisServer.url) } }
  }

  const { settings: first, ...network } = await networks()
  const fresh = await freshApp(t, { ...settings, ...first }, { db, namespace })
  const replicas: Replica[] = [{ app: fresh.app, ...network }]

  async function another (more: Settings = {}): Promise<Replica> {
    const { settings: addresses, ...network } = await networks()
    const replica = { app: await fresh.another({ ...more, ...addresses }), ...network }
    await settled(replica)
    return replica
  }

  await settled(replicas[0]!)
  while (replicas.length < count) replicas.push(await another())
  return { namespace, db, redisServer, replicas, another }
}

/** Waits until the replica is ready: Redis is up, and the revocation poller has a reading. */
export async function settled ({ app }: Replica): Promise<void> {
  await untilReady(app, 'up')
}

/**
 * Moves the clock three seconds forward. A replica uses only entries of the Redis cache that were read at least two seconds
 * after its first revocation reading.
 */
export async function pastFirstSeconds ({ db }: Pick<Replicas, 'db'>): Promise<void> {
  await db.clock.advance(3)
}

/** Holds back only the answers to a replica's revocation poller, until released. */
export function holdFeed ({ postgres }: Replica): () => void {
  let isHolding = true
  const holds: Array<{ release (): void }> = []
  const again = (): void => {
    if (!isHolding) return
    const hold = postgres.holdNext((bytes) => bytes.includes('nowMs'))
    holds.push(hold)
    void hold.held.then(again)
  }
  again()
  return () => {
    isHolding = false
    for (const hold of holds) hold.release()
  }
}

/** Returns the status of the guard at a replica for a person's credential. */
export async function guarded ({ app }: Pick<Replica, 'app'>, { access }: Pick<Person, 'access'>): Promise<number> {
  const door = doorOf(app)
  return (await app.inject({ url: door.path('/session'), headers: door.headers(String(access)) })).statusCode
}

/** Ends a person's session, then asks a replica until it refuses. @returns as `servedFromNow` */
export async function servedAfterEnd (replica: Pick<Replica, 'app'>, person: Person): Promise<number> {
  expect(204, await person.request('POST', '/token/revoke'))
  return await servedFromNow(replica, person)
}

/**
 * Asks a replica for a session that just ended, until it refuses.
 *
 * @returns the time in milliseconds until the start of the last accepted request; 0 if there was none
 */
export async function servedFromNow (replica: Pick<Replica, 'app'>, person: Person): Promise<number> {
  return await servedUntil(401, replica, person)
}

/** Like `servedFromNow`, with another final status: 503 if the replica has no current revocation reading. */
export async function servedUntil (last: 401 | 503, replica: Pick<Replica, 'app'>, person: Person): Promise<number> {
  const fromMs = performance.now()
  let lastServedMs = 0
  await until(`the replica to answer ${last}`, async () => {
    const beganAtMs = performance.now()
    const status = await guarded(replica, person)
    if (status === 200) lastServedMs = beganAtMs - fromMs
    return status === last
  })
  return lastServedMs
}
