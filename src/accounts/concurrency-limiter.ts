import { Refusal } from '../core/refusals.js'
import { FairQueue, type Place } from './fair-queue.js'

/** Limits the number of concurrent calls and the number of waiting calls. */
export interface ConcurrencyLimiter {
  /**
   * Runs the work when a place is free.
   *
   * @param work receives a function that releases its place before the work ends
   * @param place place of the caller in the queue; calls without one count as one network
   * @throws {Refusal} BUSY, before the work begins, if too many calls wait or the turn came too late
   */
  enter<T> (work: (leave: () => void) => Promise<T>, place?: Place): Promise<T>
  /** Returns true if the next call does not wait. */
  isFree (): boolean
  state (): { running: number, waiting: number }
}

/** Seconds after which a refused caller may try again. */
const BUSY_SECONDS = 2

const NOWHERE: Place = { isKnown: false, site: '', network: '' }

export interface ConcurrencyLimiterOptions {
  /** Number of concurrent calls. */
  places: number
  mostWaiting: number
  /** Refuses a call that has waited longer than this, because its answer would come too late. */
  longestWaitMs?: number
  /** Returns true for an error that every waiting call would also get. */
  isHopeless?: (error: unknown) => boolean
  /** Monotonic clock that measures the waits. */
  clockMs?: () => number
}

interface Waiting { sinceMs: number, come: () => void, turnAway: (reason: unknown) => void }

export function createConcurrencyLimiter (options: ConcurrencyLimiterOptions): ConcurrencyLimiter {
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

  /** Passes the place directly to the next call, so that no new call can take it in between. */
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
        // Refuses all waiting calls at once.
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
