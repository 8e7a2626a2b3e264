/*
 * Cost of the revocation pollers for Postgres, by number of replicas. Not a test:
 *
 *   node build/test/load/feed-cost.js          postgres://postgres@127.0.0.1:5432 or DATABASE_URL; on the server's own machine
 *
 * Each replica is one revocation poller of the service, all in this process. Up to twenty have their own connection; more of
 * them share twenty, as behind a pooler. Server CPU is the CPU of their PostgreSQL backends, from /proc.
 */
import { readFileSync } from 'node:fs'
import pg from 'pg'
import { serviceMigrations } from '../../migrations/index.js'
import { readEnds } from '../../src/sessions/revocations/revocations.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createDb } from '../../src/tables/db.js'
import { createRevocationPoller } from '../../src/sessions/revocations/revocation-poller.js'
import { until } from '../helpers/wait.js'

const SECONDS = 10
const ENDED = 100_000
const MOST_CONNECTIONS = 20
/** sysconf(_SC_CLK_TCK) on Linux. */
const TICKS_PER_SECOND = 100
/** [replicas, sessions ended per second during the run]. */
const cases = [[1, 0], [10, 0], [100, 0], [1, 100], [10, 100], [100, 100]] as const

const server = new URL(process.env['DATABASE_URL'] ?? 'postgres://postgres@127.0.0.1:5432/postgres')
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
    '\n| replicas | ends/s | polls/s | Postgres CPU, ms/s | µs of CPU per poll | ms per poll, median | p99 |\n' +
    '| --- | --- | --- | --- | --- | --- | --- |'
  )
  let next = 1
  for (const [replicas, endsPerSecond] of cases) {
    const ends = endsPerSecond === 0
      ? undefined
      : setInterval(() => {
        void client.query(
          'update otp_session set ended_at = now(), ended_xid = pg_current_xact_id() where user_id = $1 and id = $2',
          [`user ${next % 5000}`, `live ${next++}`]
        )
      }, 1000 / endsPerSecond)
    console.log(await oneCase(replicas, endsPerSecond))
    clearInterval(ends)
  }
  await client.end()
}

async function oneCase (replicas: number, endsPerSecond: number): Promise<string> {
  const tookMs: number[] = []
  const pools = Array.from({ length: Math.min(replicas, MOST_CONNECTIONS) }, () => openPostgres(url.href, 1, () => {}))
  const feeds = Array.from({ length: replicas }, (_, i) => {
    const db = createDb(pools[i % pools.length]!.dialect)
    const began = new WeakMap<object, number>()
    const timed = db.kysely.withPlugin({
      transformQuery: ({ node, queryId }) => { began.set(queryId, performance.now()); return node },
      transformResult: async ({ result, queryId }) => { tookMs.push(performance.now() - (began.get(queryId) ?? NaN)); return result }
    })
    return createRevocationPoller({
      ...db, kysely: timed
    }, 1, { onEnded () {}, onChanged () {}, onMark () {}, onGap () {}, onOtherServer () {} }, console.error)
  })
  for (const feed of feeds) feed.start()
  await until('all feeds to be fresh', () => feeds.every((feed) => feed.isFresh()))
  const pids = await until('earlier connections to be gone', async () => {
    const { rows } = await admin.query<{ pid: number }>(
      "select pid from pg_stat_activity where datname = $1 and application_name = 'countersign'", [name]
    )
    return rows.length === pools.length ? rows.map(({ pid }) => pid) : null
  }) as number[]
  tookMs.length = 0
  const before = cpuMs(pids)
  const beganAtMs = performance.now()
  await until('the time to pass', () => performance.now() - beganAtMs > SECONDS * 1000, SECONDS * 2000)
  const seconds = (performance.now() - beganAtMs) / 1000
  const cpu = cpuMs(pids) - before
  const sorted = [...tookMs].sort((a, b) => a - b)
  await Promise.all(feeds.map((feed) => feed.stop()))
  await Promise.all(pools.map((pool) => pool.close()))
  const at = (share: number) => (sorted[Math.floor(sorted.length * share)] ?? NaN).toFixed(2)
  return `| ${replicas} | ${endsPerSecond} | ${(sorted.length / seconds).toFixed(0)} | ${(cpu / seconds).toFixed(0)} ` +
    `| ${(cpu * 1000 / sorted.length).toFixed(0)} | ${at(0.5)} | ${at(0.99)} |`
}

/** Returns user and system time of processes, in milliseconds: fields 14 and 15 of /proc/…/stat. */
function cpuMs (pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')
    return sum + (Number(fields[11]) + Number(fields[12])) * 1000 / TICKS_PER_SECOND
  }, 0)
}
