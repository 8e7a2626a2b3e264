import { around, excess, p99Ms, spread } from './contest.js'
import { endSome } from './endings.js'
import { closedLoop, get } from './generator.js'
import { signed, type Row } from './rows.js'
import type { Work } from './run.js'

const SHARE_OF_CAPACITY = 0.5
const WARM_UPS = 3
const AT_ONCE = 64
const MOST_OVER_MS = 1

/**
 * Latency of `GET /session` at half of the capacity, with verified sessions seen within a second, on two replicas; sessions end
 * at the other replica all the time. Separate from the contest: its 100 000 requests make the generator's garbage collection
 * longer than the latencies measured here.
 */
export const latency: Work = async (stage, owner, { hot, warmUp, latencyRounds: rounds, endings }) => {
  if (rounds === 0) return []
  const [ours, other] = await Promise.all([stage.service(), stage.service()])
  owner.teardown(await endSome(stage, other, endings))
  const { guarded } = await stage.put({ guarded: hot })
  const next = around(guarded.map((session) => get('/session', stage.issue(session).access)))
  const targets = [await stage.limit('bare'), ours].map(({ port }) => ({ port, next, status: 200 }))
  const capacities: number[] = []
  for (let i = 0; i < WARM_UPS; i++) {
    for (const target of targets) capacities.push(warmUp / (await closedLoop(target, warmUp, AT_ONCE)).seconds)
  }
  const perSecond = spread(capacities).median * SHARE_OF_CAPACITY

  const seen = targets.map(() => [] as number[])
  for (let round = 0; round < rounds; round++) {
    for (const [i, target] of targets.entries()) seen[i]!.push(await p99Ms(target, perSecond, 1, AT_ONCE))
  }
  const [bareMs, oursMs] = seen as [number[], number[]]
  const overMs = excess(oursMs, bareMs).median
  const row = (contestant: string, ms: number[], verdicts: Row['verdicts'] = []): Row => (
    { work: '`GET /session`, at half of capacity', contestant, p99Ms: spread(ms), verdicts }
  )
  return [
    row('bare route', bareMs),
    row(
      'seen within a second',
      oursMs,
      [{ goal: `p99 ≤ bare route + ${MOST_OVER_MS} ms`, measured: `${signed(overMs)} ms`, holds: overMs <= MOST_OVER_MS }]
    )
  ]
}
