/** `countersign sessions end --all`, the command, while two replicas serve: the time until both refuse, and what it costs them. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { sql } from 'kysely'
import { call } from '../helpers/http-client.js'
import { until } from '../helpers/wait.js'
import { rows, type Db } from '../../src/tables/db.js'
import { around } from './contest.js'
import { cpuUs } from './cpu.js'
import { get, openLoop } from './generator.js'
import type { Row, Verdict } from './rows.js'
import type { Work } from './run.js'
import type { Stage } from './stage.js'

/** Sessions that are used all the time. */
const USED = 1_000
const ASKED_PER_SECOND = 100
const CONNECTIONS = 8
const MOST_MS = 1_000
const MOST_TIMES_QUIET = 2
const COMMAND_MS = 600_000

type Replica = Awaited<ReturnType<Stage['service']>>
/** Of the busier replica. */
interface Used { cpuPerSecondMs: number, memoryMib: number }

export const everybodyOut: Work = async (stage, _owner, { liveSessions, endingSeconds: seconds }) => {
  const { guarded } = await stage.put({ guarded: USED })
  await stage.put({ guarded: Math.max(0, liveSessions - USED) })
  const accesses = guarded.map((session) => stage.issue(session).access)
  const replicas = await Promise.all([stage.service(), stage.service()])
  // Any answer counts: the sessions end in the middle.
  const browse = async () => {
    await Promise.all(replicas.map(async ({ port }) => await openLoop(
      { port, next: around(accesses.map((access) => get('/session', access))), status: 200 }, ASKED_PER_SECOND, seconds, CONNECTIONS
    )))
  }
  await browse()
  const quiet = await used(replicas, browse)
  let ending: Awaited<ReturnType<typeof endAll>> | undefined
  const busy = await used(replicas, async () => {
    [ending] = await Promise.all([endAll(stage, replicas, accesses[0]!), browse()])
  })
  const { refusedMs, commandSeconds } = ending!
  const atMost = (goal: string, value: number, most: number, unit: string): Verdict => (
    { goal, measured: `${value.toFixed(value < 10 ? 2 : 0)} ${unit}`, holds: value <= most }
  )
  const row = (contestant: string, verdict: Verdict): Row => (
    { work: `everybody out, ${liveSessions} live sessions`, contestant, verdicts: [verdict] }
  )
  const { cpuPerSecondMs, memoryMib } = quiet
  return [
    row('both replicas refuse after the commit', atMost(`≤ ${MOST_MS} ms`, refusedMs, MOST_MS, 'ms')),
    row('the command, with the events of all users', atMost('–', commandSeconds, Infinity, 's')),
    row('CPU of the busier replica', atMost(
      `≤ ${MOST_TIMES_QUIET} × its quiet self (${cpuPerSecondMs.toFixed(1)} ms a second)`, busy.cpuPerSecondMs,
      MOST_TIMES_QUIET * cpuPerSecondMs, 'ms a second'
    )),
    row('resident memory of the larger replica', atMost(
      `≤ ${MOST_TIMES_QUIET} × its quiet self (${memoryMib.toFixed(0)} MiB)`, busy.memoryMib, MOST_TIMES_QUIET * memoryMib, 'MiB'
    ))
  ]
}

async function used (replicas: readonly Replica[], work: () => Promise<void>): Promise<Used> {
  const before = await Promise.all(replicas.map(({ pid }) => cpuUs(pid)))
  const beganAtMs = performance.now()
  await work()
  const seconds = (performance.now() - beganAtMs) / 1000
  const after = await Promise.all(replicas.map(({ pid }) => cpuUs(pid)))
  return {
    cpuPerSecondMs: Math.max(...after.map((us, i) => us - before[i]!)) / 1000 / seconds,
    memoryMib: Math.max(...await Promise.all(replicas.map((replica) => replica.memory())))
  }
}

/** Runs the command. @returns the time from the commit until the last replica refuses, at most, and how long the command took */
async function endAll ({ db, settings }: Stage, replicas: readonly Replica[], access: string) {
  const beganAtMs = performance.now()
  const command = promisify(execFile)(process.execPath, ['build/src/bin.js', 'sessions', 'end', '--all'], {
    env: { PATH: process.env['PATH'], ...settings as Record<string, string> }
  })
  const [committedAtMs, ...refusedAtMs] = await Promise.all([
    marked(db),
    ...replicas.map(async ({ port }) => {
      const ask = async () => (await call(`http://127.0.0.1:${port}`, 'GET', '/session', { access })).status
      await until('the replica to refuse', async () => await ask() === 401, COMMAND_MS)
      return performance.now()
    })
  ])
  await command
  return { refusedMs: Math.max(...refusedAtMs) - committedAtMs, commandSeconds: (performance.now() - beganAtMs) / 1000 }
}

/** Resolves with the time of the last look that did not show the mark: the commit was later. */
async function marked (db: Db): Promise<number> {
  let unmarkedAtMs = performance.now()
  await until('the mark', async () => {
    const askedAtMs = performance.now()
    const found = await rows(db, markOfAll(db))
    if (found.length > 0) return true
    unmarkedAtMs = askedAtMs
    return false
  }, COMMAND_MS)
  return unmarkedAtMs
}

const markOfAll = ({ table }: Db) => sql`select from ${table.otp_revocation} where user_id = '' and ended_before > to_timestamp(0)`
