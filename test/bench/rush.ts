/** Five hundred log-ins at once while people browse, and a bare route of another process that is asked as often in the same rush. */
import { around, latenciesAt, ratio, spread, type Process } from './contest.js'
import { closedLoop, get, post, quantile } from './generator.js'
import { text, type Row } from './rows.js'
import type { Work } from './run.js'
import { PASSWORD } from './stage.js'

const LOG_INS = 500
const BROWSING = 2_000
/** One request of each in ten seconds. */
const ASKED_PER_SECOND = 200
const AT_ONCE = 64
const MOST_TIMES_BARE = 3

export const rush: Work = async (stage, _owner, { rushes, rushSeconds, warmUp }) => {
  const { people, guarded } = await stage.put({ people: LOG_INS, guarded: BROWSING })
  const service: Process = await stage.service()
  const bare = await stage.limit('bare')
  const reads = guarded.map((session) => get('/session', stage.issue(session).access))
  const targets = [bare, service].map(({ port }) => ({ port, next: around(reads), status: 200 }))
  for (const target of targets) await closedLoop(target, warmUp, AT_ONCE)
  const browse = async () => (await Promise.all(
    targets.map(async (target) => quantile(await latenciesAt(target, ASKED_PER_SECOND, rushSeconds, AT_ONCE), 0.99))
  )) as [number, number]

  const quietMs = await browse()
  const rushedMs: Array<[number, number]> = []
  let refused = 0
  for (let i = 0; i < rushes; i++) {
    const logIns = around(people.map((username) => post('/token', { username, password: PASSWORD })))
    const [seen, { wrong }] = await Promise.all([
      browse(), closedLoop({ port: service.port, next: logIns, status: 200 }, LOG_INS, LOG_INS)
    ])
    rushedMs.push(seen)
    refused += wrong
  }
  const bareMs = rushedMs.map(([ms]) => ms)
  const oursMs = rushedMs.map(([, ms]) => ms)
  const times = ratio(oursMs, bareMs)
  const row = (contestant: string, quiet: number, values: number[], verdicts: Row['verdicts'] = []): Row => ({
    work: `${LOG_INS} log-ins at once, ${BROWSING} people browse`,
    contestant,
    p99Ms: spread(values),
    verdicts: [{ goal: '–', measured: `quiet ${quiet.toFixed(1)} ms`, holds: true }, ...verdicts]
  })
  return [
    row('bare route of another process', quietMs[0], bareMs),
    row('`/session`', quietMs[1], oursMs, [
      { goal: `p99 ≤ ${MOST_TIMES_BARE} × the bare route`, measured: text(times), holds: times.median <= MOST_TIMES_BARE },
      { goal: '–', measured: `${(refused / rushes).toFixed(0)} of ${LOG_INS} log-ins were asked to come again`, holds: true }
    ])
  ]
}
