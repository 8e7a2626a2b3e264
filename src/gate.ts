import { Refusal } from './core/refusals.js'

/** Lets so many in at once; the others wait in order, and only so many. */
export interface Gate {
  /** @throws Refusal BUSY, before anything was done, where too many wait already */
  enter<T> (work: () => Promise<T>): Promise<T>
  state (): { running: number, waiting: number }
}

/** When who was turned away may come again. */
const BUSY_SECONDS = 2

/** @param isHopeless whether what one failed with is what all behind it would fail with */
export function createGate (places: number, mostWaiting: number, isHopeless: (error: unknown) => boolean = () => false): Gate {
  const queue: Array<{ come: () => void, turnAway: (reason: unknown) => void }> = []
  let running = 0

  function wait (): Promise<void> {
    if (queue.length >= mostWaiting) throw new Refusal('BUSY', { retryAfterSeconds: BUSY_SECONDS })
    return new Promise((resolve, reject) => { queue.push({ come: resolve, turnAway: reject }) })
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
        // The place is handed on, not given back: nobody can slip in between.
        const next = queue.shift()
        if (next === undefined) running--
        else next.come()
      }
    },
    state: () => ({ running, waiting: queue.length })
  }
}
