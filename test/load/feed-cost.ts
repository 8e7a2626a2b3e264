/*
 * Cost of the revocation readings for PostgreSQL, by number of replicas. Not a test:
 *
 *   node build/test/load/feed-cost.js [ROUNDS] [SECONDS]
 *
 * with DATABASE_URL (postgres://postgres@127.0.0.1:5432) and REDIS_URL, on the machine of the servers. In each of ROUNDS (3) rounds, by
 * turns, over the same rows of the same database:
 *
 *   fe11fdd   each replica reads by itself, by the statement of revision fe11fdd, whose text is read from git (former-readings.ts)
 *   own       each replica reads by itself, by today's statement
 *   shared    today's replicas with Redis: one reads for the others
 *
 * Replicas are stand-ins: pollers in this one process. Up to twenty have their own connection; more of them share twenty, as behind a
 * pooler. With "shared" each has connections of its own to Redis. CPU is that of the PostgreSQL backends behind them, and of Redis, from
 * /proc. A case takes SECONDS (12) and its preparation: three rounds take some 9 minutes. SECONDS is a multiple of the six in which each
 * follower reads by itself. Without Redis "shared" is left out.
 */
import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import pg from 'pg'
import { serviceMigrations } from '../../migrations/index.js'
import { readEnds } from '../../src/sessions/revocations/revocations.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createDb } from '../../src/tables/db.js'
import { connectRedis } from '../../src/redis/connect.js'
import { noRedis, type RedisLink } from '../../src/redis/link.js'
import { createExchange } from '../../src/sessions/revocations/exchange.js'
import { createRevocationPoller } from '../../src/sessions/revocations/revocation-poller.js'
import { until } from '../helpers/wait.js'
import { formerReplica } from './former-readings.js'

const ENDED = 100_000
const MOST_CONNECTIONS = 20
/** [replicas, sessions ended per second during the run]. */
const cases = [[1, 0], [10, 0], [100, 0], [100, 100]] as const
const [rounds = 3, secondsOfEach = 12] = process.argv.slice(2).map(Number)

const server = new URL(process.env['DATABASE_URL'] ?? 'postgres://postgres@127.0.0.1:5432/postgres')
const quiet = () => {}
const silent = { info: quiet, warn: quiet, error: quiet }
const redisUrl = process.env['REDIS_URL']
const kinds = ['fe11fdd', 'own', ...(redisUrl === undefined ? [] : ['shared'])]
const name = `feed_cost_${process.pid}`
const url = new URL(server)
url.pathname = `/${name}`

/** Sums over the rounds. */
interface Cost { seconds: number, readings: number, postgresMs: number, redisMs: number, ownMs: number }

/** Session that ends next. */
let next = 1

const admin = new pg.Client(server.href)
await admin.connect()
await admin.query(`create database ${name}`)
try {
  await measure()
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  await admin.query(`drop database ${name} with (force)`)
  await admin.end()
}

async function fill (client: pg.Client): Promise<void> {
  const row = (ended: boolean) => `
    insert into otp_session
      (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent${ended ? ', ended_at, ended_xid' : ''})
    select 'user ' || i % 5000, '${ended ? 'ended' : 'live'} ' || i,
      now(), now() + '1 day', now(), '{pwd}', false, now(), '', ''${ended ? ', now(), pg_current_xact_id()' : ''}`
  // A hundred transactions, like a hundred seconds of a busy day.
  for (let i = 0; i < 100; i++) await client.query(`${row(true)} from generate_series(${i * ENDED / 100}, ${(i + 1) * ENDED / 100 - 1}) i`)
  await client.query(`${row(false)} from generate_series(1, ${ENDED}) i`)
  await client.query('vacuum analyze otp_session')
}

async function measure (): Promise<void> {
  const client = new pg.Client(url.href)
  client.on('error', console.error)
  await client.connect()
  const own = openPostgres(url.href, 1, () => {}, 0)
  await migrateUp(own.dialect, serviceMigrations)
  await fill(client)
  const { snapshot } = await readEnds(createDb(own.dialect), null)
  await own.close()
  const condition = `ended_xid >= pg_snapshot_xmax('${snapshot}') and ended_xid < pg_snapshot_xmax(pg_current_snapshot())`
  const plan = await client.query(
    `explain (analyze, buffers, costs off) select user_id, id from otp_session where ${condition} order by ended_xid limit 10001`
  )
  console.log(plan.rows.map((line) => line['QUERY PLAN'] as string).join('\n'))

  const sums = new Map<string, Cost>()
  const loads: number[] = []
  for (let round = 0; round < rounds; round++) {
    for (const [replicas, endsPerSecond] of cases) {
      for (const kind of kinds) {
        const key = `${replicas} ${endsPerSecond} ${kind}`
        sums.set(key, added(sums.get(key), await whileEnding(client, endsPerSecond, () => oneCase(replicas, kind))))
        loads.push(loadavg()[0]!)
      }
    }
    console.error(`round ${round + 1} of ${rounds}`)
  }
  await client.end()
  print(sums, loads)
}

function print (sums: ReadonlyMap<string, Cost>, loads: readonly number[]): void {
  const [least, most] = [Math.min(...loads), Math.max(...loads)]
  console.log(`\n${rounds} rounds of ${secondsOfEach} s each; load average ${least.toFixed(1)} to ${most.toFixed(1)}\n`)
  console.log(
    '| replicas | readings | ends/s | readings/s | PostgreSQL CPU, ms/s | of the former | µs of CPU per reading ' +
    '| Redis CPU, ms/s | this process, ms/s |\n| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |'
  )
  for (const [replicas, endsPerSecond] of cases) {
    const former = sums.get(`${replicas} ${endsPerSecond} fe11fdd`)!
    for (const kind of kinds) {
      const { seconds, readings, postgresMs, redisMs, ownMs } = sums.get(`${replicas} ${endsPerSecond} ${kind}`)!
      const cells = [
        replicas, kind, endsPerSecond, (readings / seconds).toFixed(0), (postgresMs / seconds).toFixed(1),
        (postgresMs / seconds / (former.postgresMs / former.seconds)).toFixed(2), (postgresMs * 1000 / readings).toFixed(0),
        (redisMs / seconds).toFixed(1), (ownMs / seconds).toFixed(0)
      ]
      console.log(`| ${cells.join(' | ')} |`)
    }
  }
}

function added (sum: Cost | undefined, one: Cost): Cost {
  if (sum === undefined) return one
  return Object.fromEntries(Object.entries(one).map(([part, value]) => [part, value + sum[part as keyof Cost]])) as unknown as Cost
}

async function whileEnding<Result> (client: pg.Client, endsPerSecond: number, run: () => Promise<Result>): Promise<Result> {
  if (endsPerSecond === 0) return await run()
  const ends = setInterval(() => {
    void client.query(
      'update otp_session set ended_at = now(), ended_xid = pg_current_xact_id() where user_id = $1 and id = $2',
      [`user ${next % 5000}`, `live ${next++}`]
    ).catch(quiet)
  }, 1000 / endsPerSecond)
  return await run().finally(() => { clearInterval(ends) })
}

/** Replicas that read, and their connections. */
async function startReplicas (replicas: number, kind: string) {
  const links: RedisLink[] = Array.from({ length: replicas }, () => kind === 'shared' ? connectRedis(redisUrl!, silent) : noRedis)
  await until('Redis to be up', () => links.every(({ state }) => state !== 'down'))
  const pools = Array.from({ length: Math.min(replicas, MOST_CONNECTIONS) }, () => openPostgres(url.href, 1, () => {}))
  const feeds = Array.from({ length: replicas }, (_, i) => {
    const db = createDb(pools[i % pools.length]!.dialect)
    if (kind === 'fe11fdd') return formerReplica(db)
    const silently = { onEnded: quiet, onChanged: quiet, onMark: quiet, onGap: quiet, onOtherServer: quiet }
    return createRevocationPoller(db, 1, silently, console.error,
      createExchange({ redis: links[i]!, namespace: name, macKeys: [Buffer.alloc(32)], leaseMs: 2000 }))
  })
  for (const feed of feeds) feed.start()
  await until('all feeds to be fresh', () => feeds.every((feed) => feed.isFresh()))
  const pids = await until('earlier connections to be gone', async () => {
    const { rows } = await admin.query<{ pid: number }>(
      "select pid from pg_stat_activity where datname = $1 and application_name = 'countersign'", [name]
    )
    return rows.length === pools.length ? rows.map(({ pid }) => pid) : null
  }) as number[]
  const follow = () => feeds.filter((feed) => feed.readings().shared > 1).length
  if (kind === 'shared') await until('the replicas to follow', () => follow() >= replicas - 1)
  return {
    pids,
    redis: kind === 'shared' ? [await redisPid(links[0]!)] : [],
    readings: () => feeds.reduce((sum, feed) => sum + feed.readings().own, 0),
    async stop () {
      await Promise.all(feeds.map((feed) => feed.stop()))
      await Promise.all([...pools, ...links].map((each) => each.close()))
    }
  }
}

async function oneCase (replicas: number, kind: string): Promise<Cost> {
  const { pids, redis, readings, stop } = await startReplicas(replicas, kind)
  const readingsBefore = readings()
  const [postgresBefore, redisBefore, ownBefore] = [cpuMs(pids), cpuMs(redis), process.cpuUsage()]
  const beganAtMs = performance.now()
  await until('the time to pass', () => performance.now() - beganAtMs > secondsOfEach * 1000, secondsOfEach * 2000)
  const { user, system } = process.cpuUsage(ownBefore)
  const cost = {
    seconds: (performance.now() - beganAtMs) / 1000,
    readings: readings() - readingsBefore,
    postgresMs: cpuMs(pids) - postgresBefore,
    redisMs: cpuMs(redis) - redisBefore,
    ownMs: (user + system) / 1000
  }
  await stop()
  return cost
}

/** Returns the process id of a Redis server, which runs on this machine. */
async function redisPid (link: RedisLink): Promise<number> {
  const info = await link.run((client) => client.eval("return redis.call('INFO', 'server')", 0))
  return Number(/process_id:(\d+)/.exec(String(info))?.[1])
}

/** Returns the CPU time of the main threads of processes, in milliseconds: the first field of /proc/…/schedstat, in nanoseconds. */
function cpuMs (pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6, 0)
}
