import { around, latencies } from './contest.js'
import { endSome } from './endings.js'
import { closedLoop, get } from './generator.js'
import type { Row } from './rows.js'
import type { Work } from './run.js'

const LATENCY_SHARE = 0.5
const WARM_UPS = 3
const MOST_OVER_MS = 1

/**
 * How long `GET /session` takes at half of capacity, with verified sessions seen within a second, on two replicas of which the other
 * one ends some all the time. Apart from the contest, whose hundred thousand requests make the generator's garbage collection
 * take longer than anything that is to be measured here.
 */
export const latency: Work = async (stage, owner, { hot, guarded, endings, warmUp, latency }) => {
  const [ours, other] = [await stage.service(), await stage.service()]
  owner.teardown(await endSome(stage, other, endings))
  const sessions = (await stage.put({ guarded: hot })).guarded
  const next = around(sessions.map((session) => get('/session', stage.issue(session).access)))
  const [bareTarget, target] = [await stage.limit('bare'), ours].map(({ port }) => ({ port, next, status: 200 }))
  const capacities: number[] = []
  for (const one of [bareTarget!, target!]) {
    for (let i = 0; i < WARM_UPS; i++) await closedLoop(one, warmUp, latency.atOnce)
    capacities.push(guarded / (await closedLoop(one, guarded, latency.atOnce)).seconds)
  }
  const [bareMs, hotMs] = await latencies([bareTarget!, target!], Math.min(...capacities) * LATENCY_SHARE, latency)
  // As with CPU: the lowest is what others can only add to.
  const overMs = hotMs!.lowest - bareMs!.lowest
  const row = (contestant: string, p99Ms: typeof bareMs, verdicts: Row['verdicts'] = []): Row => ({ work: '`GET /session`, at half of capacity', contestant, ...(p99Ms === undefined ? {} : { p99Ms }), verdicts })
  return [
    row('bare route', bareMs),
    row('seen within a second', hotMs, [{ goal: `p99 ≤ bare route + ${MOST_OVER_MS} ms`, measured: `${overMs < 0 ? '−' : '+'} ${Math.abs(overMs).toFixed(2)} ms, lowest of the rounds`, holds: overMs <= MOST_OVER_MS }])
  ]
}
