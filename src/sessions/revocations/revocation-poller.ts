import { isReadOnly } from '../../postgres/errors.js'
import type { Db } from '../../tables/db.js'
import type { ReadingExchange } from './exchange.js'
import { createKnowledge, type AnsweredReading, type RevocationHandlers } from './knowledge.js'
import { createPollTimer, oneAtATime, spread } from './poll-timer.js'
import { readEnds } from './revocations.js'
import { createTurns } from './turns.js'

/** Readings within the time in which every replica must know of a revocation. */
const POLLS_PER_BOUND = 4
/**
 * Follows the revocations in PostgreSQL. A reading made before a revocation stays trusted for at most `revocationSeconds`
 * after its commit, since `isFresh` is false as soon as the last answered question is older than that.
 * See docs/consistency.md.
 */
export interface RevocationPoller {
  isFresh (): boolean
  /** True while the server that answers is one without writes. */
  isReadOnly (): boolean
  /**
   * PostgreSQL's clock now, in Unix milliseconds, by the last reading and this process's monotonic clock: never behind it, and
   * ahead of it by at most the duration of that reading. So a time that has passed by PostgreSQL's clock has passed here.
   */
  nowMs (): number
  /** The same, but never ahead of PostgreSQL's clock: for times that must not be in the future. */
  earliestNowMs (): number
  /** Server that is followed; undefined before the first reading. Times of another server are by another clock. */
  server (): string | undefined
  /** Time by that server's clock since which every revocation is named here; null before the first reading. */
  coveredSinceMs (): number | null
  /** Every session with a proof from before this has ended, of all users: Unix seconds; -Infinity if none has. */
  endedBefore (): number
  /** Reads now, by this replica itself. Resolves after a reading that began after this call; rejects if the reading failed. */
  poll (): Promise<void>
  /** Reads soon: a message said that there is news. */
  nudge (): void
  /** Calls back after each answered reading, once the events of it were reported. */
  onReading (follow: (reading: AnsweredReading) => void): void
  ageMs (): number
  /** Age in milliseconds of the server's oldest open write transaction, as far as this process has seen it; 0 if none is open. */
  oldestWriteMs (): number
  /** Answered readings of this replica's own, and those of another replica that answered it; true while it follows another one. */
  readings (): { own: number, shared: number, isFollower: boolean }
  start (): void
  stop (): Promise<void>
}

/** @param exchange by which replicas read for one another; null: this one always reads by itself */
export function createRevocationPoller (
  db: Db,
  revocationSeconds: number,
  events: RevocationHandlers,
  report: (fault: unknown) => void,
  exchange: ReadingExchange | null = null
): RevocationPoller {
  const boundMs = revocationSeconds * 1000
  const intervalMs = boundMs / POLLS_PER_BOUND
  const known = createKnowledge(db, boundMs, events)
  const readings = { own: 0, shared: 0 }
  const polls = oneAtATime(read)

  async function read (): Promise<void> {
    const marks = turns?.began() ?? []
    const startedAtMs = performance.now()
    const since = known.snapshot()
    const reading = await readEnds(db, since).catch((error: unknown) => {
      if (isReadOnly(error)) known.leavePrimary()
      turns?.failed()
      throw error
    })
    readings.own++
    const isContinued = known.takeOwn(reading, startedAtMs)
    const { tooMany: _, isWritable: _w, ...facts } = reading
    const passedOn = isContinued ? { ...facts, marks } : { ...facts, named: null, marked: null, marks: [] }
    turns?.finished({ ...passedOn, since: since ?? reading.snapshot })
  }

  const turns = exchange === null
    ? null
    : createTurns({
      exchange,
      intervalMs,
      canFollow: known.canFollow,
      take (reading, askedAtMs) {
        const isTaken = known.takeShared(reading, askedAtMs)
        if (isTaken && askedAtMs !== null) readings.shared++
        return isTaken
      },
      poll: polls.call,
      nudge: () => { timer.nudge() },
      // The reader hears it too, and its reading comes here.
      onPart: (isFollower) => { exchange.onNews(isFollower ? null : timer.nudge) }
    })
  const rounds = oneAtATime(turns === null ? polls.call : turns.turn)
  const timer = createPollTimer(rounds.call, turns === null ? () => spread(intervalMs) : turns.pauseMs, report)

  return {
    ...known,
    poll: polls.call,
    nudge: () => { timer.nudge() },
    readings: () => ({ ...readings, isFollower: turns?.isFollower() ?? false }),
    start () {
      turns?.start()
      exchange?.onNews(timer.nudge)
      timer.start()
    },
    async stop () {
      timer.stop()
      turns?.stop()
      await Promise.all([rounds.settled(), polls.settled()])
    }
  }
}
