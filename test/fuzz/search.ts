import fc from 'fast-check'
import { Coverage } from './coverage.js'
import { Mutator, smaller } from './mutate.js'
import { Random } from './random.js'
import type { Input, Target } from './target.js'

/** CPU time for one input, unless a target needs more. */
const MOST_MS = 50
/** Inputs between two readings of the coverage, which take some milliseconds. */
const BATCH = 200
/** Of a batch, so many inputs of ten are mutations of the corpus. */
const MUTATED = 7
/** A slow input is tried again: another process may have taken the time. */
const TRIES = 3
/** Attempts to make one input smaller. */
const MOST_SMALLER = 400
const MOST_FAULTS = 20

export interface SearchOptions {
  /** Wall time. */
  seconds: number
  seed: number
  /** Inputs of earlier runs. */
  corpus: readonly Input[]
  /** Inputs after which the search is over, at the latest. @default Infinity */
  mostInputs?: number
  /** Called before each batch: after an endless loop, its input is among these. */
  onBatch? (inputs: readonly Input[]): void
}

export interface FoundFault { message: string, input: Input }

export interface Found {
  inputs: number
  cpuSeconds: number
  faults: FoundFault[]
  /** Smallest inputs that reach together all that was reached. */
  corpus: Input[]
  /** Part of the target's files that was reached, 0 to 1. */
  part: number
  missed: string[]
}

/**
 * Runs a check. @returns the message of its fault; null if the input keeps the rule
 *
 * CPU time counts: of wall time, a busy machine takes any amount.
 */
export async function faultOf ({ check, mostMs = MOST_MS }: Target, input: Input): Promise<string | null> {
  let leastMs = Infinity
  for (let tries = 0; tries < TRIES && leastMs > mostMs; tries++) {
    const before = process.cpuUsage()
    try {
      await check(input)
    } catch (error) {
      return error instanceof Error ? `${error.name}: ${error.message}${placeOf(error)}` : String(error)
    }
    const { user, system } = process.cpuUsage(before)
    leastMs = Math.min(leastMs, (user + system) / 1000)
  }
  return leastMs > mostMs ? `an input takes more than ${mostMs} ms` : null
}

/** Returns the first place of ours in the stack of an error. */
function placeOf ({ stack = '' }: Error): string {
  const place = /build\/((?:src|plugins|routes)\/[^)\s]+)/.exec(stack)?.[1]
  return place === undefined ? '' : ` (${place})`
}

/** Searches for inputs that break a target's rule: random ones of its grammar, and mutations of those that reached new code. */
export async function search (target: Target, options: SearchOptions): Promise<Found> {
  const { seconds, seed, mostInputs = Infinity, onBatch } = options
  const random = new Random(seed)
  const mutator = new Mutator(random, target.words)
  const cpuBefore = process.cpuUsage()
  const coverage = new Coverage(target.files)
  const faults = new Map<string, Input>()
  const corpus: Input[] = []
  const endAt = performance.now() + seconds * 1000
  let inputs = 0

  async function run (input: Input): Promise<void> {
    inputs++
    const message = await faultOf(target, input)
    if (message === null || faults.has(message)) return
    faults.set(message, await smallest(input, async (one) => await faultOf(target, one) === message))
  }

  /** Runs inputs, and keeps those that reach new code. */
  async function runBatch (batch: readonly Input[]): Promise<void> {
    onBatch?.(batch)
    for (const input of batch) await run(input)
    const together = coverage.take()
    if (coverage.countNew(together) === 0) return
    for (const input of batch) {
      const message = await faultOf(target, input)
      const alone = coverage.take()
      if (coverage.countNew(alone) === 0) continue
      if (message === null) corpus.push(input)
      coverage.add(alone)
    }
    // Code that runs at the first use alone.
    coverage.add(together)
  }

  /** Reaches what the corpus reaches, with fewer and smaller inputs. */
  async function reduced (): Promise<Input[]> {
    const kept: Input[] = []
    coverage.forget()
    coverage.add(atStart)
    for (const input of corpus.toSorted((a, b) => sizeOf(a) - sizeOf(b))) {
      coverage.take()
      await faultOf(target, input)
      const wanted = coverage.countNew(coverage.take())
      if (wanted === 0) continue
      const small = await smallest(input, async (one) => {
        if (await faultOf(target, one) !== null) return false
        return coverage.countNew(coverage.take()) >= wanted
      })
      await faultOf(target, small)
      coverage.add(coverage.take())
      kept.push(small)
    }
    return kept
  }

  // What ran before the first input: imports, and the start of an app.
  const atStart = coverage.take()
  coverage.add(atStart)
  await runBatch(options.corpus)
  const isOver = (): boolean => performance.now() >= endAt || faults.size >= MOST_FAULTS || inputs >= mostInputs
  for (let round = 0; !isOver(); round++) {
    const made = fc.sample(target.arbitrary as fc.Arbitrary<Input>, { numRuns: BATCH, seed: seed + round })
    await runBatch(made.map((input) => corpus.length > 0 && random.int(10) < MUTATED ? mutator.mutate(random.pick(corpus), corpus) : input))
  }
  const part = coverage.part()
  const missed = coverage.missed()
  const { user, system } = process.cpuUsage(cpuBefore)
  return {
    inputs,
    cpuSeconds: (user + system) / 1e6,
    faults: [...faults].map(([message, input]) => ({ message, input })),
    corpus: await reduced(),
    part,
    missed
  }
}

const sizeOf = (input: Input): number => JSON.stringify(input).length

/** Makes an input smaller as long as it stays one of its kind. */
async function smallest (input: Input, isSame: (input: Input) => Promise<boolean>): Promise<Input> {
  let [least, attempts] = [input, 0]
  for (let isSmaller = true; isSmaller && attempts < MOST_SMALLER;) {
    isSmaller = false
    for (const one of smaller(least)) {
      if (++attempts > MOST_SMALLER) break
      if (!await isSame(one)) continue
      least = one
      isSmaller = true
      break
    }
  }
  return least
}
