/**
 * `node build/test/soak/costs.js`: the cost of one operation for each part, for docs/scale.md. Uses its own PostgreSQL and
 * Redis. CPU comes from the kernel's accounting, minus the CPU that the same processes use when idle. The result is the lowest
 * of some rounds, because other load on the machine only increases CPU. Network limits are off: they add one Redis command to
 * every operation except guarded reads.
 */
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { serviceMigrations } from '../../migrations/index.js'
import type { Tokens } from '../../plugins/tokens.js'
import { readConfig } from '../../src/config/config.js'
import { createSeal } from '../../src/core/keys/seal.js'
import { migrateUp } from '../../src/postgres/migrator.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { createDb } from '../../src/tables/db.js'
import { createHasher } from '../../src/accounts/hasher.js'
import { stepAt, totp } from '../helpers/authenticator.js'
import { signer } from '../helpers/signer.js'
import { putStock, type Stock } from '../load/stock.js'
import { connectTo, type Answer, type Client } from './client.js'
import { PASSWORD, wrongCode } from './people.js'
import { makePlace, type Place } from './place.js'

const ROUNDS = 4
const TIMES = 1_000
const LOGINS = 300
const AT_ONCE = 8
const IDLE_MS = 5_000
/** The namespace in `buildApp`, for which secrets are sealed. */
const NAMESPACE = 'countersign'

const PARTS = ['serviceUs', 'postgresUs', 'redisUs', 'statements', 'walBytes', 'commands'] as const
type Cost = Record<typeof PARTS[number], number>
/** Totals since the start, taken at `atMs`. */
type Account = Omit<Cost, 'postgresUs'> & { atMs: number, postgresUsByPid: Map<number, number> }
/** Costs that also occur when idle. Statements are counted by their text instead. */
const IN_IDLENESS = new Set(['serviceUs', 'postgresUs', 'redisUs', 'commands'])

type At = 'first' | 'second'
/** A request that runs `times` times per round. `n` continues across rounds, so that no item is used twice. */
interface Operation { name: string, at?: At, status: number, times: number, ask (client: Client, n: number): Promise<Answer> }

function operations ({ people, verifications, refreshes, guarded }: Stock, { issue }: Tokens): Operation[] {
  const giveCode = (client: Client, n: number, token: string) => client.ask(
    'POST', '/totp/login', { access: issue(verifications[n]!.session).access, body: { token } }
  )
  const readSession = (client: Client, n: number) => client.ask('GET', '/session', { access: issue(guarded[n]!).access })
  return [
    {
      name: '`POST /token` (password)',
      status: 200,
      times: LOGINS,
      ask: (client, n) => client.ask('POST', '/token', { body: { username: people[n % LOGINS], password: PASSWORD } })
    },
    {
      name: '`POST /totp/login`, wrong code',
      status: 400,
      times: TIMES,
      ask: (client, n) => giveCode(client, n, wrongCode(verifications[n]!, n))
    },
    {
      name: '`POST /totp/login`, accepted',
      status: 200,
      times: TIMES,
      ask: (client, n) => giveCode(client, n, totp(verifications[n]!.secret, stepAt(new Date())))
    },
    {
      name: '`POST /token/refresh`',
      status: 200,
      times: TIMES,
      ask: (client, n) => client.ask('POST', '/token/refresh', { body: { refresh: issue(refreshes[n]!).refresh } })
    },
    {
      name: '`POST /token/revoke`',
      status: 204,
      times: TIMES,
      ask: (client, n) => client.ask('POST', '/token/revoke', { access: issue(refreshes[n]!).access })
    },
    { name: '`GET /session`, asked of Postgres', status: 200, times: TIMES, ask: readSession },
    { name: '`GET /session`, found in Redis', at: 'second', status: 200, times: TIMES, ask: readSession },
    // Reads each session ten times, just after the second replica first saw it.
    {
      name: '`GET /session`, known to the process',
      at: 'second',
      status: 200,
      times: 10 * TIMES,
      ask: (client, n) => readSession(client, Math.floor(n / (10 * TIMES)) * TIMES + n % TIMES)
    }
  ]
}

const undos: Array<() => unknown> = []
try {
  await main()
} finally {
  for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) await undo()
}

async function main (): Promise<void> {
  const place = await makePlace((undo) => { undos.push(undo) }, ['shared_preload_libraries=pg_stat_statements'])
  await place.postgres.query('create extension pg_stat_statements')
  const stock = await stockOf(place)
  const start = async () => {
    const { base } = await place.startService()
    const client = connectTo(base)
    undos.push(() => client.close())
    return { client, look: () => accountOf(base, place) }
  }
  const first = await start()
  await pass(IDLE_MS)
  const alone = await idleCost(first.look)
  // The sessions that the first replica read from Postgres are in Redis; the second replica does not know them.
  const replicas: Record<At, typeof first> = { first, second: await start() }
  await pass(IDLE_MS)
  const idle = await idleCost(first.look)

  const costs = new Map<string, Cost[]>()
  const asked = operations(stock, await signer(readConfig(place.settings)))
  for (let round = 0; round < ROUNDS; round++) {
    for (const operation of asked) {
      const { client, look } = replicas[operation.at ?? 'first']
      costs.set(operation.name, [...costs.get(operation.name) ?? [], await measure(operation, round, client, look, idle)])
    }
  }

  console.log(
    `${new Date().toISOString()} Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? '?'}, ` +
    `load average ${loadavg()[0]?.toFixed(1)}; the lowest of ${ROUNDS} rounds`
  )
  console.log('| operation | service, ms of CPU | Postgres, ms of CPU | Redis, ms of CPU | statements | WAL, bytes | Redis commands |')
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: |')
  for (const [name, rounds] of costs) print(name, costOf((part) => Math.min(...rounds.map((cost) => cost[part]))))
  print('a second in which nothing is asked', costOf((part) => alone[part] * 1000))
}

/** Inserts into the tables directly: a sign-up would cost one password hash per user. */
async function stockOf ({ settings, postgres }: Place): Promise<Stock> {
  const pool = openPostgres(postgres.url, 2, () => {}, 0)
  try {
    await migrateUp(pool.dialect, serviceMigrations)
    const seal = createSeal(readConfig(settings).sealKeys!, NAMESPACE)
    const passwordHash = await (await createHasher()).hash(PASSWORD)
    const count = ROUNDS * TIMES
    return await putStock(
      createDb(pool.dialect), seal, passwordHash, { people: LOGINS, verifications: count, refreshes: count, guarded: count }
    )
  } finally {
    await pool.close()
  }
}

function costOf (of: (part: typeof PARTS[number]) => number): Cost {
  return Object.fromEntries(PARTS.map((part) => [part, of(part)])) as unknown as Cost
}

function print (name: string, { serviceUs, postgresUs, redisUs, statements, walBytes, commands }: Cost): void {
  const cells = [
    name,
    ...[serviceUs, postgresUs, redisUs].map((us) => (us / 1000).toFixed(3)),
    statements.toFixed(1),
    walBytes.toFixed(0),
    commands.toFixed(1)
  ]
  console.log(`| ${cells.join(' | ')} |`)
}

/** Returns the cost per execution. */
async function measure (
  { name, status, times, ask }: Operation, round: number, client: Client, look: () => Promise<Account>, idle: Cost
): Promise<Cost> {
  const before = await look()
  let n = round * times
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (n < (round + 1) * times) {
      const answer = await ask(client, n++)
      if (answer.status !== status) throw new Error(`${name}: ${answer.status} ${answer.text}`)
    }
  }))
  const used = difference(before, await look())
  return costOf((part) => Math.max(0, used[part] - (IN_IDLENESS.has(part) ? idle[part] * used.atMs : 0)) / times)
}

/** Returns the cost per idle millisecond. */
async function idleCost (look: () => Promise<Account>): Promise<Cost> {
  const before = await look()
  await pass(IDLE_MS)
  const used = difference(before, await look())
  return costOf((part) => used[part] / used.atMs)
}

function difference (before: Account, after: Account): Cost & { atMs: number } {
  const { postgresUsByPid, ...counted } = after
  // A connection that was closed is missing in the new account. It was idle, otherwise it would still be open.
  const postgresUs = [...postgresUsByPid].reduce((sum, [pid, us]) => sum + us - (before.postgresUsByPid.get(pid) ?? 0), 0)
  return { ...costOf((part) => part === 'postgresUs' ? postgresUs : counted[part] - before[part]), atMs: after.atMs - before.atMs }
}

async function accountOf (base: string, { postgres, redis, redisPid }: Place): Promise<Account> {
  const [metrics, [said], commands] = await Promise.all([
    fetch(`${base}/metrics`).then((answer) => answer.text()),
    postgres.query(`select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8 as wal,
      (select sum(calls) from pg_stat_statements
        where query !~* '^set |^begin|^commit|^start|pg_stat|pg_postmaster_start_time|pg_try_advisory|skip locked')::float8 as statements`),
    redis.info('commandstats')
  ])
  return {
    atMs: performance.now(),
    serviceUs: Number(/^process_cpu_seconds_total (\S+)$/m.exec(metrics)?.[1]) * 1e6,
    postgresUsByPid: new Map(await Promise.all(children(postgres.pid()).map(async (pid) => [pid, await cpuOf(pid)] as const))),
    redisUs: await cpuOf(redisPid),
    statements: Number(said?.['statements'] ?? 0),
    walBytes: Number(said?.['wal']),
    commands: [...commands.matchAll(/^cmdstat_(get|mget|set|del|exists|publish|eval):calls=(\d+)/gm)]
      .reduce((sum, [, , calls]) => sum + Number(calls), 0)
  }
}

/** Returns the CPU time so far, in microseconds, of a process that works in one thread. */
async function cpuOf (pid: number): Promise<number> {
  return Number((await readFile(`/proc/${pid}/schedstat`, 'utf8').catch(() => '0')).split(' ')[0]) / 1000
}

function pass (ms: number): Promise<void> {
  return new Promise((resolve) => { setTimeout(resolve, ms) })
}

function children (pid: number): number[] {
  return spawnSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' }).stdout.split('\n').filter(Boolean).map(Number)
}
