import { cpuUs } from './cpu.js'
import { closedLoop, openLoop, quantile, type Next, type Target } from './generator.js'

/** The process that answers. It is separate, so that the kernel counts its CPU time alone. */
export interface Process { port: number, pid: number }

export interface Contestant {
  name: string
  pid: number
  /** Runs the work `times` times, `atOnce` in parallel. Returns the duration, and the number of wrong answers; and of all, if others. */
  run: (times: number, atOnce: number) => Promise<{ seconds: number, wrong: number, times?: number }>
  /** Runs before each round and is not measured. It brings the data into the state that the round needs. */
  prepare?: () => Promise<void>
  /** Repetitions per round. @default the `times` of the contest */
  times?: number
}

/** Returns a contestant that is measured over HTTP. */
export function requester (
  name: string, { port, pid }: Process, next: Next, more: Partial<Contestant & Pick<Target, 'status'>> = {}
): Contestant {
  return { name, pid, run: (times, atOnce) => closedLoop({ port, next, status: more.status ?? 200 }, times, atOnce), ...more }
}

export interface Rounds {
  rounds: number
  times: number
  atOnce: number
  /** Repetitions in the first round. Code that takes microseconds needs more of them until its compilation is final. @default times */
  warmUp?: number
}

/** One figure over all rounds. */
export interface Spread { lowest: number, median: number, highest: number }

export interface Measured {
  name: string
  /** Microseconds of server CPU per request. */
  cpuUs: Spread
  perSecond: Spread
  cpuUsByRound: number[]
  perSecondByRound: number[]
}

/** An overloaded machine makes the service or its database refuse requests. Such a round is not counted and is repeated. */
const MOST_TRIES = 4

/**
 * Runs the contestants in turn, so that other load on the machine affects all of them. Each round starts with a different
 * contestant. The first round only warms up.
 */
export async function interleave<Name extends string> (
  contestants: Record<Name, Contestant>, { rounds, times, atOnce, warmUp = times }: Rounds
): Promise<Record<Name, Measured>> {
  const all = Object.entries<Contestant>(contestants).map(
    ([key, contestant]) => ({ key, contestant, cpuUs: [] as number[], perSecond: [] as number[] })
  )
  for (let round = 0; round <= rounds; round++) {
    for (let turn = 0; turn < all.length; turn++) {
      const { contestant, cpuUs, perSecond } = all[(round + turn) % all.length]!
      const one = await oneRound(contestant, round === 0 ? warmUp : times, atOnce)
      if (round === 0) continue
      cpuUs.push(one.cpuUs)
      perSecond.push(one.perSecond)
    }
  }
  return Object.fromEntries(all.map(({ key, contestant: { name }, cpuUs, perSecond }) =>
    [key, { name, cpuUs: spread(cpuUs), perSecond: spread(perSecond), cpuUsByRound: cpuUs, perSecondByRound: perSecond }]
  )) as Record<Name, Measured>
}

async function oneRound ({ name, pid, run, prepare, times: own }: Contestant, all: number, atOnce: number) {
  const times = own ?? all
  for (let attempt = 0; attempt < MOST_TRIES; attempt++) {
    await prepare?.()
    const before = await cpuUs(pid)
    const { seconds, wrong, times: done = times } = await run(times, atOnce)
    if (wrong === 0) return { cpuUs: (await cpuUs(pid) - before) / done, perSecond: done / seconds }
  }
  throw new Error(`${name}: none of ${MOST_TRIES} tries of a round was answered as it should be`)
}

/** Returns the latencies at this rate, ascending. @throws if an answer has the wrong status, because refusals can be fast */
export async function latenciesAt (target: Target, perSecond: number, seconds: number, connections: number): Promise<Float64Array> {
  const { wrong, latenciesMs } = await openLoop(target, perSecond, seconds, connections)
  if (wrong > 0) throw new Error(`${wrong} of ${latenciesMs.length} were not answered with ${target.status}`)
  return latenciesMs
}

/** Returns the 99th percentile in milliseconds at this rate. @throws as `latenciesAt` */
export async function p99Ms (target: Target, perSecond: number, seconds: number, connections: number): Promise<number> {
  return quantile(await latenciesAt(target, perSecond, seconds, connections), 0.99)
}

export function spread (values: readonly number[]): Spread {
  const ascending = [...values].sort((a, b) => a - b)
  return { lowest: ascending[0] ?? NaN, median: quantile(ascending, 0.5), highest: ascending.at(-1) ?? NaN }
}

/** Compares round by round, because neighbouring measurements run under the same load. */
export function ratio (of: readonly number[], to: readonly number[]): Spread {
  return spread(of.map((value, i) => value / to[i]!))
}

/** Subtracts round by round, for the same reason. */
export function excess (of: readonly number[], over: readonly number[]): Spread {
  return spread(of.map((value, i) => value - over[i]!))
}

/** Returns the items in a cycle. */
export function around<T> (items: readonly T[]): () => T {
  let i = 0
  return () => items[i++ % items.length]!
}

/** Returns a supply. Each round takes one portion and cycles through it. @throws when the supply is empty */
export function supply<T> (items: readonly T[], size: number): { next: () => T, nextPortion: () => readonly T[] } {
  let taken = 0
  let next = around(items)
  return {
    next: () => next(),
    nextPortion () {
      const portion = items.slice(taken, taken += size)
      if (portion.length < size) throw new Error('The bench has used up what it had prepared')
      next = around(portion)
      return portion
    }
  }
}

/** Returns the number of portions for the warm-up, the rounds and the repeated rounds. */
export function portionsFor (rounds: number): number {
  return Math.ceil(rounds * 1.25) + MOST_TRIES
}
