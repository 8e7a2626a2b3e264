/*
 * Cost of the revocation pollers for Postgres, by number of replicas. Not a test:
 *
 *   node build/test/load/feed-cost.js          postgres://postgres@127.0.0.1:5432 or DATABASE_URL; on the server's own machine
 *
 * Each replica is one revocation poller of the service, all in this process. Up to twenty have their own connection; more of
 * them share twenty, as behind a pooler. Server CPU is the CPU of their PostgreSQL backends, from /proc. With REDIS_URL, each case
 * runs twice, by turns: each replica reads by itself, and they share readings, each over connections of its own to Redis.
 */
import { readFileSync } from 'node:fs'
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

const SECONDS = 10
const ENDED = 100_000
const MOST_CONNECTIONS = 20
/** [replicas, sessions ended per second during the run]. */
const cases = [[1, 0], [10, 0], [100, 0], [1, 100], [10, 100], [100, 100]] as const

const server = new URL(process.env['DATABASE_URL'] ?? 'postgres://postgres@127.0.0.1:5432/postgres')
const quiet = () => {}
const silent = { info: quiet, warn: quiet, error: quiet }
const redisUrl = process.env['REDIS_URL']
const name = `feed_cost_${process.pid}`
const url = new URL(server)
url.pathname = `/${name}`

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

async function measure (): Promise<void> {
  const client = new pg.Client(url.href)
  client.on('error', console.error)
  await client.connect()
  const own = openPostgres(url.href, 1, () => {}, 0)
  await migrateUp(own.dialect, serviceMigrations)
  const row = (ended: boolean) => `
    insert into otp_session
      (user_id, id, started_at, expires_at, auth_at, amr, otp_required, rotated_at, ip, agent${ended ? ', ended_at, ended_xid' : ''})
    select 'user ' || i % 5000, '${ended ? 'ended' : 'live'} ' || i,
      now(), now() + '1 day', now(), '{pwd}', false, now(), '', ''${ended ? ', now(), pg_current_xact_id()' : ''}`
  // A hundred transactions, like a hundred seconds of a busy day.
  for (let i = 0; i < 100; i++) await client.query(`${row(true)} from generate_series(${i * ENDED / 100}, ${(i + 1) * ENDED / 100 - 1}) i`)
  await client.query(`${row(false)} from generate_series(1, ${ENDED}) i`)
  await client.query('vacuum analyze otp_session')

  const { snapshot } = await readEnds(createDb(own.dialect), null)
  await own.close()
  const condition = `ended_xid >= pg_snapshot_xmax('${snapshot}') and ended_xid < pg_snapshot_xmax(pg_current_snapshot())`
  const plan = await client.query(
    `explain (analyze, buffers, costs off) select user_id, id from otp_session where ${condition} order by ended_xid limit 10001`
  )
  console.log(plan.rows.map((line) => line['QUERY PLAN'] as string).join('\n'))

  console.log(
    '\n| replicas | readings | ends/s | polls/s | Postgres CPU, ms/s | µs of CPU per poll ' +
    '| Redis CPU, ms/s | this process, ms/s |\n| --- | --- | --- | --- | --- | --- | --- | --- |'
  )
  let next = 1
  for (const [replicas, endsPerSecond] of cases) {
    const ends = endsPerSecond === 0
      ? undefined
      : setInterval(() => {
        void client.query(
          'update otp_session set ended_at = now(), ended_xid = pg_current_xact_id() where user_id = $1 and id = $2',
          [`user ${next % 5000}`, `live ${next++}`]
        ).catch(quiet)
      }, 1000 / endsPerSecond)
    console.log(await oneCase(replicas, endsPerSecond, false))
    if (redisUrl !== undefined) console.log(await oneCase(replicas, endsPerSecond, true))
    clearInterval(ends)
  }
  await client.end()
}

async function oneCase (replicas: number, endsPerSecond: number, isShared: boolean): Promise<string> {
  const links: RedisLink[] = Array.from({ length: replicas }, () => isShared ? connectRedis(redisUrl!, silent) : noRedis)
  await until('Redis to be up', () => links.every(({ state }) => state !== 'down'))
  const pools = Array.from({ length: Math.min(replicas, MOST_CONNECTIONS) }, () => openPostgres(url.href, 1, () => {}))
  const feeds = Array.from({ length: replicas }, (_, i) => {
    const db = createDb(pools[i % pools.length]!.dialect)
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
  const redis = isShared ? [await redisPid(links[0]!)] : []
  const follow = () => feeds.filter((feed) => feed.readings().shared > 1).length
  if (isShared) await until('the replicas to follow', () => follow() >= replicas - 1)
  const polls = () => feeds.reduce((sum, feed) => sum + feed.readings().own, 0)
  const pollsBefore = polls()
  const [before, redisBefore, ownBefore] = [cpuMs(pids), cpuMs(redis), process.cpuUsage()]
  const beganAtMs = performance.now()
  await until('the time to pass', () => performance.now() - beganAtMs > SECONDS * 1000, SECONDS * 2000)
  const seconds = (performance.now() - beganAtMs) / 1000
  const cpu = cpuMs(pids) - before
  const redisCpu = cpuMs(redis) - redisBefore
  const { user, system } = process.cpuUsage(ownBefore)
  const count = polls() - pollsBefore
  await Promise.all(feeds.map((feed) => feed.stop()))
  await Promise.all([...pools, ...links].map((each) => each.close()))
  const cells = [
    replicas, isShared ? 'shared' : 'own', endsPerSecond, (count / seconds).toFixed(0), (cpu / seconds).toFixed(1),
    (cpu * 1000 / count).toFixed(0), (redisCpu / seconds).toFixed(1), ((user + system) / 1000 / seconds).toFixed(0)
  ]
  return `| ${cells.join(' | ')} |`
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
