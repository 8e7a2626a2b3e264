/**
 * `npm run bench`: what the service costs, against what the same machine could do at best, in the same run. Prints one
 * table and writes bench/latest.json. Needs PostgreSQL and Redis (DATABASE_URL and REDIS_URL, or what answers on this
 * machine) and Linux, whose accounts say how much CPU a process used.
 *
 *   npm run bench -- --quick                   in less than a minute: rough, without latencies and starts
 *   npm run bench -- --only session            one part: latency, session, host, codes, refreshes, passwords, memory or start
 *   npm run bench -- --profile build/profiles  with a flame graph of each service, by `perf`
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { findStores } from '../helpers/stores.js'
import { createOwner, type Owner } from '../helpers/teardown.js'
import { codes } from './codes.js'
import { memory, start } from './footprint.js'
import { host } from './host.js'
import { latency } from './latency.js'
import { passwords } from './passwords.js'
import { refreshes } from './refreshes.js'
import { table, type Row } from './rows.js'
import { session } from './session.js'
import { makeStage, type Stage } from './stage.js'

/** How much is asked of each contestant. Rounds are many and short: the machine's speed changes by the second. */
export interface Scale {
  rounds: number
  /** Requests until a route of a few microseconds costs what it will cost from then on. */
  warmUp: number
  /** Of what writes to Postgres: it takes longer, and is less of a matter of microseconds. */
  writingRounds: number
  /**
   * Guarded requests a round, and of how many sessions, few enough that each is asked about again within a second; different
   * sessions a round where each is asked about once; and sessions that end meanwhile.
   */
  guarded: number
  hot: number
  known: number
  unknown: number
  endings: number
  /** Accepted codes, refreshes and passwords a round, and requests of a flood. */
  verifications: number
  refreshes: number
  passwords: number
  floods: number
  /** Log-ins before the first round: they come so slowly that what is around the hash is compiled for good after minutes only. */
  passwordsWarmUp: number
  /** A rush of them, for each of those who are asked meanwhile. */
  rushSeconds: number
  /** Log-ins where a figure is taken over all of them. */
  logIns: number
  /** Of a second each; 0 where there is no time for them. */
  latencyRounds: number
  /** Sessions that a process remembers, when it is weighed. */
  remembered: number
  /** 0 where there is no time for them. */
  starts: number
}

const full: Scale = {
  rounds: 14,
  warmUp: 20_000,
  writingRounds: 5,
  guarded: 10_000,
  hot: 1_000,
  known: 6_300,
  unknown: 1_200,
  endings: 10_000,
  verifications: 5_000,
  refreshes: 5_000,
  passwords: 100,
  floods: 5_000,
  passwordsWarmUp: 3_000,
  rushSeconds: 6,
  logIns: 200,
  latencyRounds: 20,
  remembered: 100_000,
  starts: 5
}
const quick: Scale = {
  rounds: 2,
  warmUp: 1_500,
  writingRounds: 2,
  guarded: 1_000,
  hot: 200,
  known: 300,
  unknown: 100,
  endings: 600,
  verifications: 100,
  refreshes: 100,
  passwords: 16,
  floods: 1_000,
  passwordsWarmUp: 16,
  rushSeconds: 0.4,
  logIns: 16,
  latencyRounds: 0,
  remembered: 1_000,
  starts: 0
}

export type Work = (stage: Stage, owner: Owner, scale: Scale) => Promise<Row[]>

const works: Record<string, Work> = { latency, session, host, codes, refreshes, passwords, memory, start }

async function main (): Promise<void> {
  const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false }, only: { type: 'string' }, profile: { type: 'string' } } })
  const chosen = values.only === undefined ? works : { [values.only]: works[values.only] }
  const stores = await findStores(process.env)
  if (stores.databaseUrl === undefined || stores.redisUrl === undefined) throw new Error('The bench needs PostgreSQL and Redis: set DATABASE_URL and REDIS_URL.')

  const machine = { at: new Date().toISOString(), node: process.version, cpu: cpus()[0]?.model ?? '', cores: availableParallelism(), load: loadavg()[0], quick: values.quick }
  console.log(`${machine.at} Node ${machine.node}, ${machine.cores} × ${machine.cpu}, load average ${machine.load?.toFixed(1)}`)
  if (values.profile !== undefined) await mkdir(values.profile, { recursive: true })
  const rows: Row[] = []
  for (const [name, work] of Object.entries(chosen)) {
    if (work === undefined) throw new Error(`--only must be one of ${Object.keys(works).join(', ')}.`)
    // What one part leaves behind must not slow the next.
    const owner = createOwner()
    current = owner
    const beganAtMs = performance.now()
    try {
      rows.push(...await work(await makeStage(owner, stores, name, values.profile), owner, values.quick ? quick : full))
    } finally {
      await owner.end()
    }
    console.error(`${name}: ${((performance.now() - beganAtMs) / 1000).toFixed(0)} s`)
  }
  console.log(table(rows))
  await mkdir('bench', { recursive: true })
  await writeFile(join('bench', 'latest.json'), JSON.stringify({ machine, rows }, null, 2) + '\n')
}

/** Whose things are to be put away if the run is broken off. */
let current: ReturnType<typeof createOwner> | undefined
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => { void Promise.resolve(current?.end()).finally(() => process.exit(1)) })
}

await main()
