import { readFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { startServer } from '../helpers/server-process.js'
import { freshDataDir, freshKeys, type Settings } from '../helpers/settings.js'
import { around, spread } from './contest.js'
import { closedLoop, get, post } from './generator.js'
import type { Row } from './rows.js'
import type { Work } from './run.js'
import { PASSWORD } from './stage.js'

const AT_ONCE = 32
const BASE_MIB = 130
const MIB_PER_HASH = 19

/**
 * Memory of a service that caches many sessions, and the additional memory of many log-ins at once. Redis and Postgres are not
 * included.
 */
export const memory: Work = async (stage, _owner, { remembered, logIns }) => {
  const { guarded, people } = await stage.put({ guarded: remembered, people: AT_ONCE })
  const service = await stage.service()
  const idleMib = await service.memory()
  await closedLoop(
    { port: service.port, next: around(guarded.map((session) => get('/session', stage.issue(session).access))), status: 200 },
    remembered,
    AT_ONCE
  )
  const knowingMib = await service.memory()
  await closedLoop(
    { port: service.port, next: around(people.map((username) => post('/token', { username, password: PASSWORD }))), status: 200 },
    logIns,
    AT_ONCE
  )
  const peakMib = Number(/^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${service.pid}/status`, 'utf8'))?.[1]) / 1024
  const hashes = Math.min(availableParallelism(), 3)
  const held = (contestant: string, mib: number, most?: number): Row => ({
    work: 'resident memory',
    contestant,
    verdicts: [
      { goal: most === undefined ? '–' : `< ${most} MiB`, measured: `${mib.toFixed(0)} MiB`, holds: most === undefined || mib < most }
    ]
  })
  return [
    held('just started', idleMib),
    held(`knows ${remembered} sessions`, knowingMib, BASE_MIB),
    held(`the most, with ${hashes} hashes in flight`, peakMib, BASE_MIB + MIB_PER_HASH * hashes)
  ]
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
