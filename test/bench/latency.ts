import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Stores } from '../helpers/stores.js'
import type { Owner } from '../helpers/teardown.js'
import { around, excess, latenciesAt, spread } from './contest.js'
import { betterAuthFleet, loggedIn } from './peers/better-auth.js'
import { drawPercentiles, PICTURES } from './drawing.js'
import { endSome } from './endings.js'
import { closedLoop, get, quantile, type Target } from './generator.js'
import { signed, type Row } from './rows.js'
import type { Work } from './run.js'
import type { Stage } from './stage.js'

const SHARE_OF_CAPACITY = 0.5
const WARM_UPS = 3
const AT_ONCE = 64
const MOST_OVER_MS = 1
/** Sessions of the peer. */
const PEER_PEOPLE = 100

interface Contestant { name: string, target: Target, latenciesMs: number[], p99sMs: number[], perSecond: number }

/**
 * Latency of `GET /session` at half of the capacity, with verified sessions seen within a second, on two replicas; sessions end
 * at the other replica all the time. Separate from the contest: its 100 000 requests make the generator's garbage collection
 * longer than the latencies measured here. The bare route gets our rate, another product half of what it can do itself.
 */
export const latency: Work = async (stage, owner, { hot, warmUp, latencyRounds: rounds, endings }, { stores, peer }) => {
  if (rounds === 0) return []
  const [ours, other] = await Promise.all([stage.service(), stage.service()])
  owner.teardown(await endSome(stage, other, endings))
  const next = await requestsOf(stage, hot)
  const bare = contestant('bare route', { port: (await stage.limit('bare')).port, next, status: 200 })
  const hotSessions = contestant('seen within a second', { port: ours.port, next, status: 200 })
  const others = await Promise.all([
    ...stage.former === undefined ? [] : [former(stage.former, hot)],
    ...peer === undefined ? [] : [betterAuth(owner, stores)]
  ])
  const all = [bare, hotSessions, ...others]
  await findRates(all, warmUp)
  bare.perSecond = hotSessions.perSecond = spread([bare.perSecond, hotSessions.perSecond]).lowest
  for (let round = 0; round < rounds; round++) {
    for (const { target, perSecond, latenciesMs, p99sMs } of all) {
      const seen = await latenciesAt(target, perSecond, 1, AT_ONCE)
      latenciesMs.push(...seen)
      p99sMs.push(quantile(seen, 0.99))
    }
  }
  await writeFile(join(PICTURES, 'guarded-latency.svg'), drawPercentiles(
    'Latency of a guarded request, by the share of requests that are as fast',
    all.map(({ name, perSecond, latenciesMs }) => ({ name: rated(name, perSecond), latenciesMs }))
  ))
  return rowsOf(bare, hotSessions, others)
}

const contestant = (name: string, target: Target): Contestant => ({ name, target, latenciesMs: [], p99sMs: [], perSecond: 0 })

const rated = (name: string, perSecond: number) => `${name}, ${perSecond.toFixed(0)} a second`

async function requestsOf (stage: Pick<Stage, 'put' | 'issue'>, count: number): Promise<() => Buffer> {
  const { guarded } = await stage.put({ guarded: count })
  return around(guarded.map((session) => get('/session', stage.issue(session).access)))
}

async function former (stage: NonNullable<Stage['former']>, count: number): Promise<Contestant> {
  return contestant(stage.name, { port: (await stage.service()).port, next: await requestsOf(stage, count), status: 200 })
}

async function betterAuth (owner: Owner, stores: Stores): Promise<Contestant> {
  const fleet = await betterAuthFleet(owner, stores, 1, PEER_PEOPLE)
  return contestant(fleet.name, { port: fleet.processes[0]!.port, next: around(await loggedIn(fleet)), status: 200 })
}

/** Finds half of the capacity of each, by turns. */
async function findRates (all: readonly Contestant[], warmUp: number): Promise<void> {
  const capacities = all.map(() => [] as number[])
  for (let i = 0; i < WARM_UPS; i++) {
    for (const [n, { target }] of all.entries()) capacities[n]!.push(warmUp / (await closedLoop(target, warmUp, AT_ONCE)).seconds)
  }
  for (const [n, one] of all.entries()) one.perSecond = spread(capacities[n]!).median * SHARE_OF_CAPACITY
}

function rowsOf (bare: Contestant, ours: Contestant, others: readonly Contestant[]): Row[] {
  const overMs = excess(ours.p99sMs, bare.p99sMs).median
  const row = ({ name, perSecond, p99sMs }: Contestant, verdicts: Row['verdicts'] = []): Row => (
    { work: '`GET /session`, at half of capacity', contestant: rated(name, perSecond), p99Ms: spread(p99sMs), verdicts }
  )
  return [
    row(bare),
    row(ours, [{ goal: `p99 ≤ bare route + ${MOST_OVER_MS} ms`, measured: `${signed(overMs)} ms`, holds: overMs <= MOST_OVER_MS }]),
    ...others.map((other) => row(other))
  ]
}
