/** Time between two reads of the outbox. */
const IDLE_MS = 500
/** Time between two rounds that also give up expired deliveries, which expire after a day or later. */
const UPKEEP_MS = 5_000
/** Time between two rounds in which the receiver took nothing. */
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 30_000
/** Time until a delivery that failed is tried again. */
const FIRST_WAIT_SECONDS = 5
const LONGEST_WAIT_SECONDS = 3600

export interface LoopOptions {
  /** Makes one round. `isUpkeep` is true in the first one and every five seconds: it then also gives up expired deliveries. */
  round (isUpkeep: boolean): Promise<{ sent: number, failed: number, isMore: boolean }>
  /** Returns false while the database cannot be read. */
  isReady (): boolean
  /** Called with the error of a round that failed as a whole. */
  onError (error: unknown): void
}

export interface DeliveryLoop {
  start (): void
  /** Resolves after the round that is running. */
  stop (): Promise<void>
  /** Returns true while the receiver takes nothing: its failures are one outage, not one for each message. */
  isPausing (): boolean
}

/** Repeats rounds of deliveries: at once while there is more, and ever more rarely while the receiver takes nothing. */
export function createDeliveryLoop ({ round, isReady, onError }: LoopOptions): DeliveryLoop {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> = Promise.resolve()
  let closing = false
  let pauseMs = 0
  let upkeptAtMs = -Infinity

  async function next (): Promise<number> {
    if (!isReady()) return IDLE_MS
    const nowMs = performance.now()
    const isUpkeep = nowMs - upkeptAtMs >= UPKEEP_MS
    const { sent, failed, isMore } = await round(isUpkeep)
    if (isUpkeep) upkeptAtMs = nowMs
    if (sent > 0 || failed === 0) pauseMs = 0
    else pauseMs = Math.min(Math.max(pauseMs * 2, FIRST_PAUSE_MS), LONGEST_PAUSE_MS)
    return pauseMs > 0 ? pauseMs * (0.75 + Math.random() / 2) : isMore ? 0 : IDLE_MS
  }

  function schedule (ms: number): void {
    if (closing) return
    timer = setTimeout(() => {
      running = next().then(schedule, (error: unknown) => {
        onError(error)
        schedule(FIRST_PAUSE_MS)
      })
    }, ms).unref()
  }

  return {
    start: () => { schedule(0) },
    async stop () {
      closing = true
      clearTimeout(timer)
      await running
    },
    isPausing: () => pauseMs > 0
  }
}

/**
 * Returns the wait in seconds after so many attempts. It doubles each time, and it is random, so that events that failed
 * together are not sent again together.
 *
 * @param chance number from 0 to 1
 */
export function waitSeconds (attempts: number, chance: number): number {
  return Math.min(FIRST_WAIT_SECONDS * 2 ** (attempts - 1), LONGEST_WAIT_SECONDS) * (0.75 + chance / 2)
}
