import { isUnavailable, orUnavailable, pass, underLoad, type FaultOptions, type Seen } from './scenario.js'
import type { Stage } from './stage.js'

/** Limit for the tries per refused request, on average. */
const MOST_TRIES = 1.1
/** Limit for the additional memory of a replica during a fault: the number of waiting requests is bounded, and so is their memory. */
const MOST_MORE_MIB = 100
const LOOK_MS = 100

export type PostgresFault = Pick<FaultOptions, 'begin' | 'end'> & {
  /** False if Postgres still answers, but later. */
  isAway?: boolean
}

/**
 * Checks a fault of Postgres: requests get 503 in time, the service does not repeat them, memory is bounded, the probes report
 * the fault, and the service recovers by itself.
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

/** Connections opened, and statements sent: each counts as a try. */
function triesOf ({ replicas }: Stage): number {
  return replicas.reduce((sum, { toPostgres }) => sum + toPostgres.opened + (toPostgres.postgresMessages['E'] ?? 0), 0)
}

/** Checks that `/livez` stays at 200, that `/readyz` returns 503 and names the dependency, and that memory is bounded. */
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
