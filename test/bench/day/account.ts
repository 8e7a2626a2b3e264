/** CPU and commands of a fleet: its processes, the server processes of its database, and its own Redis. */
import { readdir, readFile } from 'node:fs/promises'
import { Redis } from 'ioredis'
import pg from 'pg'
import { cpuUs } from '../cpu.js'
import type { Owner } from '../../helpers/teardown.js'

/** Totals so far. CPU in milliseconds. */
export interface Totals {
  /** Every thread of the services. */
  serviceMs: number
  /** Threads of the services that hash passwords. */
  hashingMs: number
  postgresMs: number
  redisMs: number
  commands: number
}

export const NOTHING: Totals = { serviceMs: 0, hashingMs: 0, postgresMs: 0, redisMs: 0, commands: 0 }

export interface Account {
  totals (): Promise<Totals>
  /** Takes the threads that used most of the CPU during `work` for those that hash: `work` is log-ins and little else. */
  findHashingThreads (work: () => Promise<unknown>): Promise<void>
}

/** Share of a process's CPU during log-ins from which a thread, other than the first, counts as one that hashes. */
const HASHING_SHARE = 0.05
/** A server process that has ended is not counted after its last look. Pools keep theirs for longer than this. */
const LOOK_MS = 2_000

export async function openAccount (
  owner: Owner, { pids, databaseUrl, redis }: { pids: readonly number[], databaseUrl: string, redis: { url: string, pid: number } }
): Promise<Account> {
  const database = new URL(databaseUrl).pathname.slice(1)
  // Another database of the server, so that our own connection is not counted.
  const client = new pg.Client({ connectionString: Object.assign(new URL(databaseUrl), { pathname: '/postgres' }).href })
  await client.connect()
  owner.teardown(() => client.end())
  const store = new Redis(redis.url)
  owner.teardown(() => store.disconnect())
  const backends = new Map<number, number>()
  const hashing = new Map<number, string[]>()
  let asked = 0

  async function lookAtBackends (): Promise<void> {
    const { rows } = await client.query<{ pid: number }>('select pid from pg_stat_activity where datname = $1', [database])
    await Promise.all(rows.map(async ({ pid }) => {
      const us = await cpuUs(pid).catch(() => 0)
      backends.set(pid, Math.max(us, backends.get(pid) ?? 0))
    }))
  }
  const timer = setInterval(() => { lookAtBackends().catch(() => {}) }, LOOK_MS)
  owner.teardown(() => { clearInterval(timer) })

  return {
    async totals () {
      const [services, , , redisUs, stats] = await Promise.all([
        Promise.all(pids.map(cpuUs)), lookAtBackends(), undefined, cpuUs(redis.pid), store.info('stats')
      ])
      const hashed = await Promise.all([...hashing].flatMap(([pid, threads]) => threads.map((thread) => threadUs(pid, thread))))
      asked++
      return {
        serviceMs: sum(services) / 1000,
        hashingMs: sum(hashed) / 1000,
        postgresMs: sum([...backends.values()]) / 1000,
        redisMs: redisUs / 1000,
        commands: Number(/^total_commands_processed:(\d+)/m.exec(stats)?.[1]) - asked
      }
    },

    async findHashingThreads (work) {
      const before = await Promise.all(pids.map(threadsUs))
      await work()
      for (const [i, pid] of pids.entries()) {
        const used = [...await threadsUs(pid)].map(([thread, us]) => [thread, us - (before[i]!.get(thread) ?? 0)] as const)
        const all = sum(used.map(([, us]) => us))
        hashing.set(pid, used.filter(([thread, us]) => thread !== String(pid) && us > HASHING_SHARE * all).map(([thread]) => thread))
      }
    }
  }
}

export function difference (after: Totals, before: Totals): Totals {
  const names = Object.keys(after) as Array<keyof Totals>
  return Object.fromEntries(names.map((name) => [name, after[name] - before[name]])) as unknown as Totals
}

async function threadsUs (pid: number): Promise<Map<string, number>> {
  const threads = await readdir(`/proc/${pid}/task`)
  return new Map(await Promise.all(threads.map(async (thread) => [thread, await threadUs(pid, thread)] as const)))
}

async function threadUs (pid: number, thread: string): Promise<number> {
  return Number((await readFile(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').catch(() => '0')).split(' ')[0]) / 1000
}

function sum (values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
