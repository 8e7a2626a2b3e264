import type { SharedReading } from './exchange.js'
import { createPart, within, type PartDeps } from './part.js'

/** After so many intervals without a reading of its own, a replica makes one. */
const OWN_EVERY = 24
/** Readings that wait for the end of this replica's own one. Of more, the oldest are dropped: a gap, and so a reading of its own. */
const MOST_HELD = 16

/** Result of waiting for a shared reading. */
type Outcome = 'answered' | 'in doubt' | 'late'

export interface TurnsDeps extends PartDeps {
  /** True if this replica has a reading that another one's can continue. */
  canFollow (): boolean
  /**
   * Takes a shared reading.
   *
   * @param askedAtMs time before which the reader had not asked PostgreSQL yet; null if that is not known
   * @returns false if the reading does not continue this replica's last one
   */
  take (reading: SharedReading, askedAtMs: number | null): boolean
  /** Makes a reading of this replica's own. */
  poll (): Promise<void>
  /** Begins the next turn soon. */
  nudge (): void
}

/** This replica's part in reading for one another: it reads, or it follows the readings of another replica. */
export interface Turns {
  start (): void
  /** Resolves once a reading that was asked after this call is known; rejects if this replica had to read and could not. */
  turn (): Promise<void>
  /** Begins a reading of this replica's own. @returns the marks that it answers */
  began (): readonly string[]
  /** Publishes it, if other replicas follow. */
  finished (reading: SharedReading): void
  failed (): void
  isFollower (): boolean
  /** Milliseconds until the next turn. */
  pauseMs (): number
  stop (): void
}

/**
 * Follows the readings of one replica, so that a hundred of them cost PostgreSQL little more than one.
 * docs/consistency.md, "Shared readings", has the argument.
 */
export function createTurns ({ exchange, intervalMs, canFollow, take, poll, nudge, onPart }: TurnsDeps): Turns {
  const part = createPart({ exchange, intervalMs, onPart })
  let settle: ((outcome: Outcome) => void) | null = null
  /** Times of this replica's last reading; -Infinity if it must make one. */
  let readAtMs = -Infinity
  let held: SharedReading[] | null = null

  /** Waits for the answer to the announcement. The time is random: the first replica that gives up reads for the others. */
  async function answered (isSent?: Promise<boolean>): Promise<Outcome> {
    if (!part.isAsking()) return 'answered'
    const outcome = await within<Outcome>(intervalMs * (0.9 + 0.4 * Math.random()), 'late', (resolve) => {
      settle = resolve
      void isSent?.then((isThere) => { if (!isThere) resolve('in doubt') })
    })
    settle = null
    return outcome
  }

  /** Returns true if another replica's reading answered. */
  async function follow (): Promise<boolean> {
    if (!canFollow() || performance.now() - readAtMs > OWN_EVERY * intervalMs) return false
    const known = part.reader()
    const reader = known ?? await part.take()
    if (reader === null) return false
    const outcome = await (known === null ? answered() : answered(part.remind()))
    // A reader that is silent is replaced. Should it only be slow, there are two for a moment, which costs a reading.
    if (outcome === 'late') await part.replace(reader)
    return outcome === 'answered'
  }

  function hear (reading: SharedReading): void {
    if (held !== null) {
      held = [...held, reading].slice(-MOST_HELD)
      return
    }
    if (!canFollow() || readAtMs === -Infinity) return
    const askedAtMs = part.askedAtMs(reading.marks)
    if (take(reading, askedAtMs)) {
      if (askedAtMs === null) return
      part.answered()
      settle?.('answered')
      return
    }
    readAtMs = -Infinity
    if (settle === null) nudge()
    else settle('in doubt')
  }

  /** Readings that came during one of this replica's own are newer than its question, perhaps: they are taken after its answer. */
  function release (): void {
    const waiting = held ?? []
    held = null
    for (const reading of waiting) hear(reading)
  }

  return {
    start: () => exchange.onReading(hear),
    async turn () {
      if (!await follow()) await poll()
    },
    began () {
      held = []
      return part.takeMarks()
    },
    finished (reading) {
      readAtMs = performance.now()
      if (part.isFollowed()) exchange.publish(reading)
      release()
    },
    failed () {
      readAtMs = -Infinity
      release()
    },
    isFollower: () => part.reader() !== null,
    // A follower announces after half the time, so that its announcement is there at the reader's next turn.
    pauseMs: () => intervalMs * (part.reader() !== null ? 0.5 + Math.random() * 0.2 : 0.9 + Math.random() * 0.2),
    stop: () => settle?.('in doubt')
  }
}
