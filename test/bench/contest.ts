import { cpuUs } from './cpu.js'
import { closedLoop, openLoop, quantile, type Next, type Target } from './generator.js'

/** Who answers: a process of its own, so that the kernel counts its CPU apart from everybody's. */
export interface Process { port: number, pid: number }

export interface Contestant {
  name: string
  pid: number
  /** Does it so many times, so many at once. Says how long that took, or that it was done wrongly in part. */
  run: (times: number, atOnce: number) => Promise<{ seconds: number, wrong: number }>
  /** Before each of its rounds, unmeasured: what makes the round's work what it is meant to be. */
  prepare?: () => Promise<void>
  /** Times a round; the contest's, unless told. */
  times?: number
}

/** A contestant over HTTP. */
export function asking (name: string, { port, pid }: Process, next: Next, more: Partial<Contestant & Pick<Target, 'status'>> = {}): Contestant {
  return { name, pid, run: (times, atOnce) => closedLoop({ port, next, status: more.status ?? 200 }, times, atOnce), ...more }
}

export interface Rounds {
  rounds: number
  times: number
  atOnce: number
  /** Times of the first round, where that must be more: what takes microseconds is compiled for good only after many. */
  warmUp?: number
}

/** One figure over the rounds. */
export interface Spread { lowest: number, median: number, highest: number }

export interface Measured {
  name: string
  /** Microseconds of server CPU for each request. */
  cpuUs: Spread
  perSecond: Spread
  cpuUsByRound: number[]
  perSecondByRound: number[]
}

/** A machine that starves a service or its database makes it refuse: such a round says nothing, and is done again. */
const MOST_TRIES = 4

/**
 * Contestants by turns, so that what else the machine does meanwhile meets all of them; each round begins with another.
 * The first round only warms up.
 */
export async function interleave<Name extends string> (contestants: Record<Name, Contestant>, { rounds, times, atOnce, warmUp = times }: Rounds): Promise<Record<Name, Measured>> {
  const all = Object.entries<Contestant>(contestants).map(([key, contestant]) => ({ key, contestant, cpuUs: [] as number[], perSecond: [] as number[] }))
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
    [key, { name, cpuUs: spread(cpuUs), perSecond: spread(perSecond), cpuUsByRound: cpuUs, perSecondByRound: perSecond }])) as Record<Name, Measured>
}

async function oneRound ({ name, pid, run, prepare, times: own }: Contestant, all: number, atOnce: number) {
  const times = own ?? all
  for (let attempt = 0; attempt < MOST_TRIES; attempt++) {
    await prepare?.()
    const before = await cpuUs(pid)
    const { seconds, wrong } = await run(times, atOnce)
    if (wrong === 0) return { cpuUs: (await cpuUs(pid) - before) / times, perSecond: times / seconds }
  }
  throw new Error(`${name}: none of ${MOST_TRIES} tries of a round was answered as it should be`)
}

/** The 99th percentile in milliseconds at that pace. @throws if anything was answered otherwise than it should be: that may be fast */
export async function p99Ms (target: Target, perSecond: number, seconds: number, connections: number): Promise<number> {
  const { wrong, latenciesMs } = await openLoop(target, perSecond, seconds, connections)
  if (wrong > 0) throw new Error(`${wrong} of ${latenciesMs.length} were not answered with ${target.status}`)
  return quantile(latenciesMs, 0.99)
}

export function spread (values: readonly number[]): Spread {
  const ascending = [...values].sort((a, b) => a - b)
  return { lowest: ascending[0] ?? NaN, median: quantile(ascending, 0.5), highest: ascending.at(-1) ?? NaN }
}

/** Round by round, since neighbours in time share what the machine was doing. */
export function ratio (of: readonly number[], to: readonly number[]): Spread {
  return spread(of.map((value, i) => value / to[i]!))
}

/** The same for what one takes more than the other. */
export function excess (of: readonly number[], over: readonly number[]): Spread {
  return spread(of.map((value, i) => value - over[i]!))
}

/** Over and over. */
export function around<T> (items: readonly T[]): () => T {
  let i = 0
  return () => items[i++ % items.length]!
}

/** A supply of which each round takes its portion, around and around within the round. @throws when it is used up */
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

/** Enough for the warm-up, the rounds, and those that must be done again. */
export function portionsFor (rounds: number): number {
  return Math.ceil(rounds * 1.25) + MOST_TRIES
}
