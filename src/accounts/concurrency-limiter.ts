import { Refusal } from '../core/refusals.js'
import { FairQueue, type Place } from './fair-queue.js'

/** Lets so many in at once; the others wait for their turns, and only so many. */
export interface Gate {
  /**
   * @param work with a function that gives its place up before it ends
   * @param place where it waits; all that name none are one network
   * @throws Refusal BUSY, before anything was done, where too many wait already, or the turn came too late
   */
  enter<T> (work: (leave: () => void) => Promise<T>, place?: Place): Promise<T>
  /** Whether the next one need not wait. */
  isFree (): boolean
  state (): { running: number, waiting: number }
}

/** When who was turned away may come again. */
const BUSY_SECONDS = 2

const NOWHERE: Place = { isKnown: false, site: '', network: '' }

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

interface Waiting { sinceMs: number, come: () => void, turnAway: (reason: unknown) => void }

export function createGate (options: GateOptions): Gate {
  const { places, mostWaiting, longestWaitMs = Infinity, isHopeless = () => false, clockMs = () => performance.now() } = options
  const queue = new FairQueue<Waiting>(mostWaiting)
  let running = 0

  const busy = () => new Refusal('BUSY', { retryAfterSeconds: BUSY_SECONDS })

  function wait (place: Place): Promise<void> {
    return new Promise((resolve, reject) => {
      const { added, evicted } = queue.add({ sinceMs: clockMs(), come: resolve, turnAway: reject }, place)
      evicted?.turnAway(busy())
      if (!added) throw busy()
    })
  }

  /** The place is handed on, not given back: nobody can slip in between. */
  function handOn (): void {
    const earliestMs = clockMs() - longestWaitMs
    for (let oldest = queue.oldest(); oldest !== undefined && oldest.sinceMs < earliestMs; oldest = queue.oldest()) {
      queue.takeOldest()!.turnAway(busy())
    }
    const next = queue.next()
    if (next === undefined) running--
    else next.come()
  }

  return {
    async enter (work, place = NOWHERE) {
      if (running >= places) await wait(place)
      else running++
      let holds = true
      const leave = () => {
        if (holds) handOn()
        holds = false
      }
      try {
        return await work(leave)
      } catch (error) {
        // They need not find out one by one.
        if (isHopeless(error)) for (let next = queue.takeOldest(); next !== undefined; next = queue.takeOldest()) next.turnAway(error)
        throw error
      } finally {
        leave()
      }
    },
    isFree: () => running < places,
    state: () => ({ running, waiting: queue.size })
  }
}
