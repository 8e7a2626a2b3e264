import { availableParallelism } from 'node:os'
import { peakMemoryOf, startServer } from '../helpers/server-process.js'
import { freshDataDir, freshKeys, type Settings } from '../helpers/settings.js'
import { around, spread } from './contest.js'
import { closedLoop, get, post } from './generator.js'
import type { Row } from './rows.js'
import type { Work } from './run.js'
import { PASSWORD, type Stage } from './stage.js'

const AT_ONCE = 32
const BASE_MIB = 130
const MIB_PER_HASH = 19
const MOST_OF_FORMER = 0.6

/**
 * Memory of a service that caches many sessions, and the additional memory of many log-ins at once. Redis and Postgres are not
 * included.
 */
export const memory: Work = async (stage, _owner, { remembered, logIns }) => {
  const ours = await held(stage, remembered, logIns)
  const theirs = stage.former === undefined ? undefined : await held(stage.former, remembered, logIns)
  const hashes = Math.min(availableParallelism(), 3)
  const row = (contestant: string, mib: number, goal = '–', most = Infinity): Row => (
    { work: 'resident memory', contestant, verdicts: [{ goal, measured: `${mib.toFixed(0)} MiB`, holds: mib <= most }] }
  )
  const atMost = (contestant: string, mib: number, most: number) => row(contestant, mib, `< ${most} MiB`, most)
  const knows = `knows ${remembered} sessions`
  return [
    row('just started', ours.idleMib),
    atMost(knows, ours.knowingMib, BASE_MIB),
    {
      work: 'resident memory',
      contestant: `answers those ${remembered} again`,
      verdicts: [
        { goal: 'none from a store', measured: String(ours.readAgain), holds: ours.readAgain === 0 },
        { goal: `< ${BASE_MIB} MiB`, measured: `${ours.answeringMib.toFixed(0)} MiB`, holds: ours.answeringMib < BASE_MIB }
      ]
    },
    atMost(`the most, with ${hashes} hashes in flight`, ours.peakMib, BASE_MIB + MIB_PER_HASH * hashes),
    ...stage.former === undefined || theirs === undefined
      ? []
      : [
          row(`${stage.former.name}, just started`, theirs.idleMib),
          row(`${stage.former.name}, ${knows}`, theirs.knowingMib),
          row(
            `${knows}, beside ${stage.former.name}`, ours.knowingMib,
            `≤ ${MOST_OF_FORMER} × ${stage.former.name}`, MOST_OF_FORMER * theirs.knowingMib
          )
        ]
  ]
}

async function held (stage: Pick<Stage, 'put' | 'issue' | 'service'>, remembered: number, logIns: number) {
  const { guarded, people } = await stage.put({ guarded: remembered, people: AT_ONCE })
  const service = await stage.service()
  const idleMib = await service.memory()
  const next = around(guarded.map((session) => get('/session', stage.issue(session).access)))
  await closedLoop({ port: service.port, next, status: 200 }, remembered, AT_ONCE)
  const knowingMib = await service.memory()
  const readBefore = await readsOfStores(service.port)
  await closedLoop({ port: service.port, next, status: 200 }, remembered, AT_ONCE)
  const readAgain = await readsOfStores(service.port) - readBefore
  const answeringMib = await service.memory()
  await closedLoop(
    { port: service.port, next: around(people.map((username) => post('/token', { username, password: PASSWORD }))), status: 200 },
    logIns,
    AT_ONCE
  )
  // By its id: the kit of a former revision has its own process.
  return { idleMib, knowingMib, readAgain, answeringMib, peakMib: await peakMemoryOf(service.pid) }
}

/** Returns how often the service asked Redis or PostgreSQL for a session so far. */
async function readsOfStores (port: number): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const counts = [...metrics.matchAll(/^countersign_session_reads_(?:redis|postgres)_total (\d+)$/gm)].map(([, count]) => Number(count))
  return counts.length === 2 ? counts.reduce((sum, count) => sum + count) : NaN
}

/** Time from the command until the service listens. */
export const start: Work = async (stage, owner, { starts }) => {
  if (starts === 0) return []
  const time = async (settings: Settings, unmeasured: number) => {
    const seconds: number[] = []
    for (let i = 0; i < unmeasured + starts; i++) {
      const beganAtMs = performance.now()
      const service = startServer(owner, settings)
      await service.listening()
      if (i >= unmeasured) seconds.push((performance.now() - beganAtMs) / 1000)
      // SIGINT ends the service in order, without the drain time of SIGTERM.
      await service.kill('SIGINT')
    }
    return spread(seconds)
  }
  const row = (contestant: string, { lowest, median, highest }: Awaited<ReturnType<typeof time>>, most: number): Row => ({
    work: 'start, until it listens',
    contestant,
    verdicts: [
      { goal: `< ${most} s`, measured: `${median.toFixed(2)} s (${lowest.toFixed(2)}–${highest.toFixed(2)})`, holds: median < most }
    ]
  })
  // The first embedded start creates the data that the later starts find.
  return [
    row('embedded, second start', await time({ ...freshKeys(), DATA_DIR: await freshDataDir(owner) }, 1), 2),
    row('with PostgreSQL and Redis', await time(stage.settings, 0), 1)
  ]
}
