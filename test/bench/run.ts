/**
 * `npm run bench`: cost of the service, compared with the best possible on the same machine, in the same run. Prints one
 * table, writes bench/latest.json, and draws the day and the latencies beside it. Needs PostgreSQL and Redis (DATABASE_URL and
 * REDIS_URL, or servers that answer on this machine) and Linux, whose kernel counts the CPU time of a process.
 *
 *   npm run bench -- --quick                   in less than a minute: rough, without latencies and starts
 *   npm run bench -- --only session            one part: latency, saturation, session, host, codes, passkeys, refreshes, passwords, rush,
 *                                              memory, start, everybodyOut or day; the last two only if named: they take minutes
 *   npm run bench -- --against fe11fdd         beside another revision, which is built from git
 *   npm run bench -- --peer better-auth        with better-auth 1.7.25 in the parts latency, codes and day
 *   npm run bench -- --profile build/profiles  with a flame graph of each service, by `perf`
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { findStores, type Stores } from '../helpers/stores.js'
import { createOwner, type Owner } from '../helpers/teardown.js'
import { codes } from './codes.js'
import { day, type DayScale } from './day/day.js'
import { PICTURES } from './drawing.js'
import { buildRevision, makeFormerStage } from './former.js'
import { everybodyOut } from './everybody-out.js'
import { memory, start } from './footprint.js'
import { host } from './host.js'
import { latency } from './latency.js'
import { passkeys } from './passkeys.js'
import { passwords } from './passwords.js'
import { refreshes } from './refreshes.js'
import { table, type Row } from './rows.js'
import { rush } from './rush.js'
import { saturation } from './saturation.js'
import { session } from './session.js'
import { makeStage, type Stage } from './stage.js'

/** Amount of work per contestant. Rounds are many and short, because the speed of the machine changes every second. */
export interface Scale {
  rounds: number
  /** Requests until the cost of a route of a few microseconds is stable. */
  warmUp: number
  /** Rounds of work that writes to Postgres: it takes longer, and microseconds matter less. */
  writingRounds: number
  /**
   * `guarded`: guarded requests per round. `hot`: their sessions, few enough that each is read again within a second. `known`
   * and `unknown`: different sessions per round, each read once. `endings`: sessions that end during the run.
   */
  guarded: number
  hot: number
  known: number
  unknown: number
  endings: number
  /** Accepted codes, refreshes and passwords per round, and requests of a flood. */
  verifications: number
  /** The same of a peer, whose passwords are hashed before each round. */
  peerVerifications: number
  refreshes: number
  passwords: number
  floods: number
  /** Log-ins before the first round. They are slow, so the code around the hash is fully compiled only after minutes. */
  passwordsWarmUp: number
  /** Duration of a round at saturation. */
  saturatedSeconds: number
  /** Number of rushes of log-ins. */
  rushes: number
  /** Duration of the log-in load, for each measurement during it. */
  rushSeconds: number
  /** Log-ins for a figure over all of them. */
  logIns: number
  /** Rounds of one second. 0 skips them. */
  latencyRounds: number
  /** Sessions in the cache of the process when its memory is measured. */
  remembered: number
  /** Live sessions when all are ended, and for how long the replicas are watched. */
  liveSessions: number
  endingSeconds: number
  /** Number of starts. 0 skips them. */
  starts: number
  day: DayScale
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
  peerVerifications: 300,
  refreshes: 5_000,
  passwords: 100,
  floods: 5_000,
  passwordsWarmUp: 3_000,
  saturatedSeconds: 2,
  rushes: 7,
  rushSeconds: 6,
  logIns: 200,
  latencyRounds: 20,
  remembered: 100_000,
  liveSessions: 1_000_000,
  endingSeconds: 20,
  starts: 5,
  day: { people: 2_000, replicas: 10, paceSeconds: 900, arrivalSeconds: 300, guarded: 60, refreshes: 3 }
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
  peerVerifications: 10,
  refreshes: 100,
  passwords: 16,
  floods: 1_000,
  passwordsWarmUp: 16,
  saturatedSeconds: 1,
  rushes: 1,
  rushSeconds: 0.4,
  logIns: 16,
  latencyRounds: 0,
  remembered: 1_000,
  liveSessions: 5_000,
  endingSeconds: 4,
  starts: 0,
  day: { people: 30, replicas: 2, paceSeconds: 20, arrivalSeconds: 4, guarded: 60, refreshes: 3, restSeconds: 2 }
}

/** What a part may use beside its stage. */
export interface Surroundings { stores: Stores, peer: string | undefined }

export type Work = (stage: Stage, owner: Owner, scale: Scale, surroundings: Surroundings) => Promise<Row[]>

const works: Record<string, Work> = {
  latency, saturation, session, host, codes, passkeys, refreshes, passwords, rush, memory, start, everybodyOut, day
}
/** Parts that run only if they are named. */
const LONG = new Set(['everybodyOut', 'day'])
const PEERS = ['better-auth']

async function main (): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      profile: { type: 'string' },
      against: { type: 'string' },
      peer: { type: 'string' }
    }
  })
  const chosen = Object.fromEntries(
    Object.entries(works).filter(([name]) => values.only === undefined ? !LONG.has(name) : name === values.only)
  )
  if (Object.keys(chosen).length === 0) throw new Error(`--only must be one of ${Object.keys(works).join(', ')}.`)
  if (values.peer !== undefined && !PEERS.includes(values.peer)) throw new Error(`--peer must be one of ${PEERS.join(', ')}.`)
  const stores = await findStores(process.env)
  if (stores.databaseUrl === undefined || stores.redisUrl === undefined) {
    throw new Error('The bench needs PostgreSQL and Redis: set DATABASE_URL and REDIS_URL.')
  }

  const machine = {
    at: new Date().toISOString(),
    node: process.version,
    cpu: cpus()[0]?.model ?? '',
    cores: availableParallelism(),
    load: loadavg()[0],
    quick: values.quick
  }
  console.log(`${machine.at} Node ${machine.node}, ${machine.cores} × ${machine.cpu}, load average ${machine.load?.toFixed(1)}`)
  await mkdir(PICTURES, { recursive: true })
  if (values.profile !== undefined) await mkdir(values.profile, { recursive: true })
  const { against } = values
  const formerFolder = against === undefined ? undefined : await buildRevision(against)
  const rows: Row[] = []
  for (const [name, work] of Object.entries(chosen)) {
    // The rest of one part must not slow the next.
    const owner = createOwner()
    current = owner
    const beganAtMs = performance.now()
    try {
      const stage = await makeStage(owner, stores, name, values.profile)
      if (formerFolder !== undefined) stage.former = await makeFormerStage(owner, stores, name, against!, formerFolder)
      rows.push(...await work(stage, owner, values.quick ? quick : full, { stores, peer: values.peer }))
    } finally {
      await owner.end()
    }
    console.error(`${name}: ${((performance.now() - beganAtMs) / 1000).toFixed(0)} s`)
  }
  console.log(table(rows))
  await writeFile(join(PICTURES, 'latest.json'), JSON.stringify({ machine, rows }, null, 2) + '\n')
}

/** Owner of the resources to release if the run is interrupted. */
let current: ReturnType<typeof createOwner> | undefined
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => { void Promise.resolve(current?.end()).finally(() => process.exit(1)) })
}

await main()
