import { Refusal } from './core/refusals.js'

/** Lets so many in at once; the others wait in order, and only so many. */
export interface Gate {
  /** @throws Refusal BUSY, before anything was done, where too many wait already, or the turn came too late */
  enter<T> (work: () => Promise<T>): Promise<T>
  state (): { running: number, waiting: number }
}

/** When who was turned away may come again. */
const BUSY_SECONDS = 2

export interface GateOptions {
  /** At once. */
  places: number
  mostWaiting: number
  /** Whose turn comes later than this is turned away: the answer would be too late for anybody. */
  longestWaitMs?: number
  /** Whether what one failed with is what all behind it would fail with. */
  isHopeless?: (error: unknown) => boolean
  /** Monotonic: by it waits are measured. */
  clockMs?: () => number
}

export function createGate ({ places, mostWaiting, longestWaitMs = Infinity, isHopeless = () => false, clockMs = () => performance.now() }: GateOptions): Gate {
  const queue: Array<{ sinceMs: number, come: () => void, turnAway: (reason: unknown) => void }> = []
  let running = 0

  const busy = () => new Refusal('BUSY', { retryAfterSeconds: BUSY_SECONDS })

  function wait (): Promise<void> {
    if (queue.length >= mostWaiting) throw busy()
    return new Promise((resolve, reject) => { queue.push({ sinceMs: clockMs(), come: resolve, turnAway: reject }) })
  }

  /** The place is handed on, not given back: nobody can slip in between. */
  function handOn (): void {
    const oldestMs = clockMs() - longestWaitMs
    let next = queue.shift()
    while (next !== undefined && next.sinceMs < oldestMs) {
      next.turnAway(busy())
      next = queue.shift()
    }
    if (next === undefined) running--
    else next.come()
  }

  return {
    async enter (work) {
      if (running >= places) await wait()
      else running++
      try {
        return await work()
      } catch (error) {
        // They need not find out one by one.
        if (isHopeless(error)) for (const { turnAway } of queue.splice(0)) turnAway(error)
        throw error
      } finally {
        handOn()
      }
    },
    state: () => ({ running, waiting: queue.length })
  }
}
