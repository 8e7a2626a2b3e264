import { isUnavailable, orUnavailable, pass, underLoad, type FaultOptions, type Seen } from './scenario.js'
import type { Stage } from './stage.js'

/** How many times a request may be tried before it is given up, on average. */
const MOST_TRIES = 1.1
/** What a replica may take more while a fault lasts: what waits is bounded, and so is what it holds. */
const MOST_MORE_MIB = 100
const LOOK_MS = 100

export type PostgresFault = Pick<FaultOptions, 'begin' | 'end'> & {
  /** False where Postgres still answers, only later. */
  isAway?: boolean
}

/**
 * Without the judge nothing is decided: 503 in time, whoever asks is not asked again on their behalf, nothing piles up,
 * the probes say so, and it is back by itself.
 */
export async function unavailable (stage: Stage, { begin, end, isAway = true }: PostgresFault): Promise<Seen> {
  const watch = watchReplicas(stage)
  let triesBefore = 0
  let tries = 0
  let refused = 0
  let isOver = false
  const seen = await underLoad(stage, {
    p99Ms: 1_500,
    judge (answer) {
      if (isUnavailable(answer)) refused++
      return orUnavailable(answer)
    },
    begin: async () => {
      triesBefore = triesOf(stage)
      await begin(stage)
    },
    end: async () => {
      tries = triesOf(stage) - triesBefore
      isOver = true
      await end(stage)
    }
  })
  if (!isOver) throw new Error('the fault did not end')
  const { wrong, moreMib, notReady } = await watch.stop()
  const notes = [`memory +${Math.round(moreMib)} MiB at most`]
  if (isAway) {
    const perRequest = tries / refused
    notes.unshift('/readyz said so', `${perRequest.toFixed(2)} tries for each 503`)
    if (notReady === 0) wrong.push('/readyz did not say so')
    if (!(perRequest <= MOST_TRIES)) wrong.push(`${perRequest.toFixed(2)} tries for each of ${refused} requests`)
  }
  return { ...seen, wrong: [...seen.wrong, ...wrong], note: notes.join('; ') }
}

/** Connections asked for, and statements sent: either is a try. */
function triesOf ({ replicas }: Stage): number {
  return replicas.reduce((sum, { toPostgres }) => sum + toPostgres.opened + (toPostgres.postgresMessages['E'] ?? 0), 0)
}

/** `/livez` says 200 all the while; `/readyz` says 503 and which dependency it is; memory stays in bounds. */
function watchReplicas ({ replicas }: Stage) {
  const stopping = new AbortController()
  let notReady = 0
  let dead = 0
  let moreMib = 0
  const watching = Promise.all(replicas.map(async ({ base, process }) => {
    const calmMib = await process.memory()
    while (!stopping.signal.aborted) {
      const [live, ready] = await Promise.all(['livez', 'readyz'].map((probe) => fetch(`${base}/${probe}`).catch(() => null)))
      await live?.arrayBuffer()
      if (live?.status !== 200) dead++
      const said = await ready?.json() as { postgres: string } | undefined
      if (ready?.status === 503 && said?.postgres === 'down') notReady++
      moreMib = Math.max(moreMib, await process.memory() - calmMib)
      await pass(LOOK_MS)
    }
  }))
  return {
    async stop () {
      stopping.abort()
      await watching
      const wrong = [
        ...dead > 0 ? [`/livez failed ${dead} times`] : [],
        ...moreMib > MOST_MORE_MIB ? [`a replica took ${Math.round(moreMib)} MiB more`] : []
      ]
      return { wrong, moreMib, notReady }
    }
  }
}
