import { newMark, type ReadingExchange } from './exchange.js'

/** Marks that were announced so many intervals ago still mean that other replicas follow this one's readings. */
const FOLLOWED_FOR = 16
/** A reader says so again after so many intervals. Until then it learns of no other one, and a reader without followers of none. */
const LEADS_FOR = 4

export interface PartDeps {
  exchange: ReadingExchange
  /** Milliseconds between readings. */
  intervalMs: number
  /** Called when this replica begins to follow another one, and when it does so no more. */
  onPart (isFollower: boolean): void
}

/** Place of this replica among those that share readings: by its announcements, and as the reader by those of the others. */
export interface Part {
  /** Replica that reads for this one; null if this one reads, or if it is not known. */
  reader (): string | null
  /**
   * Collects the marks of the others as the reader, or announces a question and learns which replica reads. Marks that come late are for
   * the next reading.
   *
   * @returns that replica; null if it is this one, or if Redis does not answer soon
   */
  take (): Promise<string | null>
  /** Announces a question to the reader, which is known. @returns false if Redis refuses it or is not there */
  remind (): Promise<boolean>
  /** Announces a question, and takes the place of a reader that is silent. */
  replace (silent: string): Promise<void>
  /** True if this replica's newest announcement is not answered. */
  isAsking (): boolean
  /** Returns the time before that announcement if it is among the marks; null if not. */
  askedAtMs (marks: readonly string[]): number | null
  answered (): void
  /** Returns the marks of others that no reading has answered yet: the next one does. */
  takeMarks (): readonly string[]
  /** True if other replicas follow this one's readings. */
  isFollowed (): boolean
}

export function createPart ({ exchange, intervalMs, onPart }: PartDeps): Part {
  let reader: string | null = null
  /** Time at which Redis took this replica for the reader; -Infinity if it may not be. */
  let ledAtMs = -Infinity
  /** This replica's newest announcement, noted before it was sent; null once it is answered. */
  let question: { mark: string, askedAtMs: number } | null = null
  let marks: string[] = []
  let followedUntilMs = -Infinity

  const soon = async <Result>(answer: Promise<Result>): Promise<Result | undefined> => await within<Result | undefined>(
    intervalMs * 0.2, undefined, (resolve) => { void answer.then(resolve) }
  )

  function ask (): string {
    question = { mark: newMark(), askedAtMs: performance.now() }
    return question.mark
  }

  function gather (more: readonly string[]): void {
    if (more.length === 0) return
    marks.push(...more)
    followedUntilMs = performance.now() + FOLLOWED_FOR * intervalMs
  }

  function setReader (found: string | null): void {
    const hasChanged = (found === null) !== (reader === null)
    reader = found
    if (hasChanged) onPart(found !== null)
  }

  const isFollowed = (): boolean => performance.now() < followedUntilMs

  async function announce (suspect: string | null): Promise<void> {
    const answer = await exchange.announce(ask(), suspect)
    setReader(answer === undefined || answer.isReader ? null : answer.reader)
    ledAtMs = answer?.isReader === true ? performance.now() : -Infinity
    gather(answer?.marks ?? [])
  }

  /** Collects the marks as the reader. @returns false if this replica may not be the reader any more */
  async function lead (): Promise<boolean> {
    if (performance.now() - ledAtMs > LEADS_FOR * intervalMs) return false
    // Without followers there are no marks. One that comes is not answered, so it takes this place, and is found at the end of LEADS_FOR.
    if (!isFollowed()) return true
    const collected = await exchange.collect()
    gather(collected ?? [])
    return collected !== undefined
  }

  async function take (): Promise<string | null> {
    if (!await lead()) await announce(null)
    return reader
  }

  return {
    reader: () => reader,
    take: async () => await soon(take()) ?? null,
    async remind () {
      const isSent = await exchange.remind(ask())
      if (!isSent) setReader(null)
      return isSent
    },
    replace: async (silent) => { await soon(announce(silent)) },
    isAsking: () => question !== null,
    askedAtMs: (answered) => question !== null && answered.includes(question.mark) ? question.askedAtMs : null,
    answered () { question = null },
    takeMarks () {
      const taken = marks
      marks = []
      return taken
    },
    isFollowed
  }
}

/** Resolves as the callback's function is called, or to `late` after a time. A busy process first hears what is in its sockets. */
export function within<Result> (ms: number, late: Result, wait: (settle: (result: Result) => void) => void): Promise<Result> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => setImmediate(resolve, late), ms).unref()
    wait((result) => {
      clearTimeout(timer)
      resolve(result)
    })
  })
}
