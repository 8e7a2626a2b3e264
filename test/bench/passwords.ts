import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { sql } from 'kysely'
import { row } from '../../src/tables/db.js'
import { call } from '../helpers/http-client.js'
import type { Owner } from '../helpers/teardown.js'
import { until } from '../helpers/wait.js'
import { around, requester, interleave, p99Ms, type Contestant, type Process } from './contest.js'
import { mainThreadCpuUs } from './cpu.js'
import { closedLoop, get, post } from './generator.js'
import { atLeast, rowOf, type Row } from './rows.js'
import type { Work } from './run.js'
import { PASSWORD, type Stage } from './stage.js'

const AT_ONCE = 16
const RUSH_AT_ONCE = 64
/** Low enough that only the log-ins compete with it, and high enough for a 99th percentile. */
const ASKED_PER_SECOND = 200

/**
 * `POST /token` compared with argon2id alone, and the effect of many log-ins at once on other requests. A separate process that
 * receives the same requests is the limit.
 */
export const passwords: Work = async (stage, owner, { rounds, passwords: times, logIns: many, passwordsWarmUp, rushSeconds }) => {
  const { people } = await stage.put({ people: 100 })
  const logIns = around(people.map((username) => post('/token', { username, password: PASSWORD })))
  const service = await stage.service()
  await closedLoop({ port: service.port, next: logIns, status: 200 }, passwordsWarmUp, AT_ONCE)
  const { limit, ours } = await interleave({
    limit: await hashing(owner),
    ours: requester('passwords', service, logIns)
  }, { rounds, times, atOnce: AT_ONCE })
  const beforeUs = await mainThreadCpuUs(service.pid)
  await closedLoop({ port: service.port, next: logIns, status: 200 }, many, AT_ONCE)
  const besideHashMs = (await mainThreadCpuUs(service.pid) - beforeUs) / many / 1000

  const asked = {
    livezMs: () => p99Ms({ port: service.port, next: () => get('/livez'), status: 200 }, ASKED_PER_SECOND, rushSeconds, AT_ONCE),
    reconnectMs: () => reconnect(stage, service)
  }
  const seen: Record<string, { quiet: number, rushed: number }> = {}
  // One run of log-ins per measurement, so that each measurement includes the beginning of the run.
  for (const [name, ask] of Object.entries(asked)) {
    seen[name] = { quiet: await ask(), rushed: await inRush(service, logIns, ask, name === 'reconnectMs') }
  }

  const work = '`POST /token`'
  const during = (what: string, name: keyof typeof asked, goal: string, most: (quiet: number) => number): Row => {
    const { quiet, rushed } = seen[name]!
    return {
      work: `${work}, a rush of ${RUSH_AT_ONCE} at once`,
      contestant: what,
      verdicts: [{ goal, measured: `${rushed.toFixed(1)} ms, quiet ${quiet.toFixed(1)} ms`, holds: rushed <= most(quiet) }]
    }
  }
  return [
    rowOf(work, limit),
    rowOf(work, ours, {
      verdicts: [
        ...atLeast(limit, ours, 0.9),
        { goal: '–', measured: `${besideHashMs.toFixed(2)} ms of it by the main thread, which hashes nothing`, holds: true }
      ]
    }),
    during('`/livez` meanwhile, p99', 'livezMs', '< 50 ms', () => 50),
    during('back after all connections to Postgres were ended', 'reconnectMs', '≤ quiet + 100 ms', (quiet) => quiet + 100)
  ]
}

async function hashing (owner: Owner): Promise<Contestant> {
  const child = fork(join(import.meta.dirname, 'hashing.js'))
  owner.teardown(() => child.kill('SIGKILL'))
  await once(child, 'message')
  return {
    name: 'argon2id alone',
    pid: child.pid!,
    async run (times) {
      child.send(times)
      const [seconds] = await once(child, 'message') as [number]
      return { seconds, wrong: 0 }
    }
  }
}

/**
 * Sends more log-ins at a time than the hasher has places. Most of them wait; none is refused, unless it loses its connection
 * to Postgres.
 */
async function inRush (service: Process, logIns: () => Buffer, ask: () => Promise<number>, mayLose: boolean): Promise<number> {
  let isOver = false
  const rush = closedLoop({ port: service.port, next: logIns, status: 200 }, Infinity, RUSH_AT_ONCE, () => isOver)
  const ms = await ask()
  isOver = true
  const { wrong } = await rush
  if (wrong > 0 && !mayLose) throw new Error(`${wrong} log-ins of the rush were refused`)
  return ms
}

/** Returns the time from the end of all connections of the service until Postgres answers for an unknown session. */
async function reconnect (stage: Stage, { port }: Process): Promise<number> {
  const { guarded: [unknown] } = await stage.put({ guarded: 1 })
  const { access } = stage.issue(unknown!)
  await row(
    stage.db,
    sql`select count(pg_terminate_backend(pid)) from pg_stat_activity
      where datname = current_database() and application_name = 'countersign' and pid <> pg_backend_pid()`
  )
  const beganAtMs = performance.now()
  await until(
    'Postgres to be asked again',
    async () => (await call(`http://127.0.0.1:${port}`, 'GET', '/session', { access })).status === 200
  )
  return performance.now() - beganAtMs
}
