import { newMark, type Announced, type ReadingExchange, type SharedReading } from './exchange.js'

/** After so many intervals without a reading of its own, a replica makes one. */
const OWN_EVERY = 24
/** Marks that were announced so many intervals ago still mean that other replicas follow this one's readings. */
const FOLLOWED_FOR = 16
/** Readings that wait for the end of this replica's own one. Of more, the oldest are dropped: a gap, and so a reading of its own. */
const MOST_HELD = 16

/** Result of waiting for a shared reading. */
type Outcome = 'answered' | 'in doubt' | 'late'

export interface TurnsDeps {
  exchange: ReadingExchange
  /** Milliseconds between readings. */
  intervalMs: number
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
export function createTurns ({ exchange, intervalMs, canFollow, take, poll, nudge }: TurnsDeps): Turns {
  /** Replica that reads for this one; null if this one reads, or if it is not known. */
  let reader: string | null = null
  /** This replica's newest announcement, noted before it was sent; null once it is answered. */
  let question: { mark: string, askedAtMs: number } | null = null
  let settle: ((outcome: Outcome) => void) | null = null
  /** Marks of others that no reading has answered yet. */
  let marks: string[] = []
  let followedUntilMs = -Infinity
  /** Times of this replica's last reading; -Infinity if it must make one. */
  let readAtMs = -Infinity
  let held: SharedReading[] | null = null

  /** @returns undefined if Redis is slow too; marks that come late are for the next reading */
  const announce = (suspect: string | null): Promise<Announced | undefined> =>
    Promise.race([ask(suspect), within<undefined>(intervalMs * 0.2, undefined, () => {})])

  async function ask (suspect: string | null): Promise<Announced | undefined> {
    const { mark } = question = { mark: newMark(), askedAtMs: performance.now() }
    const answer = await (reader === null || suspect !== null ? exchange.announce(mark, suspect) : exchange.remind(reader, mark))
    reader = answer === undefined || answer.isReader ? null : answer.reader
    if (answer === undefined || answer.marks.length === 0) return answer
    marks.push(...answer.marks)
    followedUntilMs = performance.now() + FOLLOWED_FOR * intervalMs
    return answer
  }

  /** Waits for the answer to the announcement. The time is random: the first replica that gives up reads for the others. */
  async function answered (): Promise<Outcome> {
    if (question === null) return 'answered'
    const outcome = await within<Outcome>(intervalMs * (0.9 + 0.4 * Math.random()), 'late', (resolve) => { settle = resolve })
    settle = null
    return outcome
  }

  /** Returns true if another replica's reading answered. */
  async function follow (): Promise<boolean> {
    if (!canFollow() || performance.now() - readAtMs > OWN_EVERY * intervalMs) return false
    const answer = await announce(null)
    if (answer === undefined || answer.isReader) return false
    const outcome = await answered()
    // A reader that is silent is replaced. Should it only be slow, there are two for a moment, which costs a reading.
    if (outcome === 'late') await announce(answer.reader)
    return outcome === 'answered'
  }

  function hear (reading: SharedReading): void {
    if (held !== null) {
      held = [...held, reading].slice(-MOST_HELD)
      return
    }
    if (!canFollow() || readAtMs === -Infinity) return
    const isAnswer = question !== null && reading.marks.includes(question.mark)
    if (take(reading, isAnswer ? question!.askedAtMs : null)) {
      if (!isAnswer) return
      question = null
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
      const answered = marks
      marks = []
      return answered
    },
    finished (reading) {
      readAtMs = performance.now()
      if (performance.now() < followedUntilMs) exchange.publish(reading)
      release()
    },
    failed () {
      readAtMs = -Infinity
      release()
    },
    isFollower: () => reader !== null,
    // A follower announces after half the time, so that its announcement is there at the reader's next turn.
    pauseMs: () => intervalMs * (reader !== null ? 0.5 + Math.random() * 0.2 : 0.9 + Math.random() * 0.2),
    stop: () => settle?.('in doubt')
  }
}

/** Resolves as the callback's function is called, or to `late` after a time. A busy process first hears what is in its sockets. */
function within<Result> (ms: number, late: Result, wait: (settle: (result: Result) => void) => void): Promise<Result> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => setImmediate(resolve, late), ms).unref()
    wait((result) => {
      clearTimeout(timer)
      resolve(result)
    })
  })
}
