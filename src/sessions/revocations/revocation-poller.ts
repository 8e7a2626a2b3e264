import { readEnds, type Ends } from './revocations.js'
import { isReadOnly } from '../../postgres/errors.js'
import type { Db } from '../../tables/db.js'
import type { ReadingExchange, SharedReading } from './exchange.js'
import { boundsOf, isWithin } from './snapshots.js'
import { createTurns } from './turns.js'

/** Readings within the time in which every replica must know of a revocation. */
const POLLS_PER_BOUND = 4
/** "Poll now" messages closer together than this count as one. */
const NUDGE_MS = 20
/** Shortest time between polls, for any number of messages: a busy deployment sends hundreds a second; so can an intruder in Redis. */
const LEAST_GAP_MS = 100

/** Answered revocation reading, for those that pass revocations on. */
export interface AnsweredReading extends Ends {
  /** When PostgreSQL was asked, by this process's monotonic clock. Every revocation from before that is named by now. */
  askedAtMs: number
  /** True if revocations from before this reading may not have been named, as for `onGap`. */
  isGap: boolean
}

export interface FeedEvents {
  onEnded (userId: string, sessionId: string): void
  /** The session lives, and readings of it from before are out of date. */
  onChanged (userId: string, sessionId: string): void
  /** Every session with a proof from before this has ended, of all users (Unix seconds). */
  onMark (endedBefore: number): void
  /**
   * Revocations before now may not have been named: this is the first reading, or there were too many to name, or
   * PostgreSQL is another server, was started again or went back in time. Readings from before now must not be trusted.
   */
  onGap (): void
  /**
   * The server is not the primary, is not the same as before, or has another setting of writes: connections made before now
   * must not be used.
   */
  onOtherServer (): void
}

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

/** State of the revocations as this process knows it, by its own readings and by those of another replica. */
function createKnowledge (db: Db, boundMs: number, { onEnded, onChanged, onMark, onGap, onOtherServer }: FeedEvents) {
  const createdAtMs = performance.now()
  let last: Ends | null = null
  let coveredSinceMs: number | null = null
  /** Time of the last answered question; largest and smallest lead of PostgreSQL's clock over this process's monotonic clock. */
  let askedAtMs = -Infinity
  let aheadMs = Date.now() - performance.now()
  let leastAheadMs = aheadMs
  /** False from the answer of a server without writes until the primary answers. */
  let isPrimary = true
  let oldestWrite: { id: string, sinceMs: number } | null = null
  const followers: Array<(reading: AnsweredReading) => void> = []

  function hear ({ named, endedBefore }: Pick<Ends, 'named' | 'endedBefore'>): void {
    for (const { userId, sessionId, isOver } of named) (isOver ? onEnded : onChanged)(userId, sessionId)
    if (endedBefore !== null && endedBefore !== last?.endedBefore) onMark(endedBefore)
  }

  function keep (reading: Ends, sinceMs: number): void {
    oldestWrite = nextOldest(oldestWrite, reading.snapshot, sinceMs)
    last = reading
  }

  function noteTime (fromMs: number, nowMs: number): void {
    askedAtMs = fromMs
    aheadMs = nowMs - fromMs
    leastAheadMs = nowMs - performance.now()
  }

  function tell (reading: Ends, isGap: boolean): void {
    for (const follow of followers) follow({ ...reading, askedAtMs, isGap })
  }

  /** @returns true if it continues the last one: only then another replica may use it */
  function takeOwn (reading: Ends, startedAtMs: number): boolean {
    hear(reading)
    const isOther = last !== null && isOtherServer(last, reading)
    const isGap = last === null || isOther || reading.tooMany
    if (isGap) {
      coveredSinceMs = reading.nowMs
      onGap()
    }
    // Writes are forbidden, or allowed again: a connection made after that knows.
    const isSetOtherwise = last !== null && last.readOnlySettings !== reading.readOnlySettings
    if (isSetOtherwise) db.renew()
    if (isOther || isSetOtherwise) onOtherServer()
    keep(reading, startedAtMs)
    // A server that was demoted by a setting still looks writable to connections from before. The next reading, by a new
    // connection, finds out. So this one does not make the readings fresh (model/liveness.pml).
    const askedBeforeMs = askedAtMs
    noteTime(startedAtMs, reading.nowMs)
    if (isSetOtherwise) askedAtMs = askedBeforeMs
    else isPrimary = true
    tell(reading, isGap)
    return !isGap && !isSetOtherwise
  }

  /** Takes a reading of another replica. @returns false if it does not continue what this process knows */
  function takeShared ({ since, marks: _, ...shared }: SharedReading, fromMs: number | null): boolean {
    if (last === null || !isPrimary || !isSameOrder(last, shared)) return false
    const isKnown = isWithin(shared.snapshot, last.snapshot)
    if (!isKnown && (shared.named === null || !isWithin(since, last.snapshot))) return false
    const reading: Ends = { ...shared, named: shared.named ?? [], isWritable: true, tooMany: false }
    if (!isKnown) {
      hear(reading)
      keep(reading, performance.now())
    }
    // PostgreSQL was asked after `fromMs`, and has answered by now.
    const isNewer = fromMs !== null && fromMs > askedAtMs
    if (isNewer) noteTime(fromMs, reading.nowMs)
    if (isNewer || !isKnown) tell(isKnown ? { ...last, named: [] } : reading, false)
    return true
  }

  return {
    takeOwn,
    takeShared,
    leavePrimary (): void {
      isPrimary = false
      onOtherServer()
    },
    snapshot: () => last?.snapshot ?? null,
    canFollow: () => last !== null && isPrimary,
    isReadOnly: () => !isPrimary,
    isFresh: () => isPrimary && performance.now() - askedAtMs <= boundMs,
    nowMs: () => performance.now() + aheadMs,
    earliestNowMs: () => performance.now() + leastAheadMs,
    server: () => last?.server,
    coveredSinceMs: () => coveredSinceMs,
    endedBefore: () => last?.endedBefore ?? -Infinity,
    onReading: (follow: (reading: AnsweredReading) => void) => { followers.push(follow) },
    ageMs: () => performance.now() - Math.max(askedAtMs, createdAtMs),
    oldestWriteMs: () => oldestWrite === null ? 0 : performance.now() - oldestWrite.sinceMs
  }
}

/** Runs one at a time. A call during a run gets the next one, since the current one may have missed the news. */
function oneAtATime (run: () => Promise<void>) {
  let running: Promise<void> | undefined
  let queued: Promise<void> | undefined

  function call (): Promise<void> {
    if (running === undefined) {
      running = run().finally(() => { running = undefined })
      return running
    }
    queued ??= running.catch(() => {}).then(() => { queued = undefined; return call() })
    return queued
  }

  return { call, settled: async () => { await Promise.allSettled([running, queued]) } }
}

/** @param exchange by which replicas read for one another; null: this one always reads by itself */
export function createRevocationPoller (
  db: Db,
  revocationSeconds: number,
  events: FeedEvents,
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
    const { tooMany: _, isWritable: _w, named, ...facts } = reading
    turns?.finished({ ...facts, since: since ?? reading.snapshot, named: isContinued ? named : null, marks: isContinued ? marks : [] })
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
      nudge: () => { timer.nudge() }
    })
  const rounds = oneAtATime(turns === null ? polls.call : turns.turn)
  const timer = createPollTimer(rounds.call, turns === null ? () => spread(intervalMs) : turns.pauseMs, report)

  return {
    ...known,
    poll: polls.call,
    // The reader hears it too, and its reading comes here.
    nudge: () => { if (turns?.isFollower() !== true) timer.nudge() },
    readings: () => ({ ...readings, isFollower: turns?.isFollower() ?? false }),
    start () {
      turns?.start()
      timer.start()
    },
    async stop () {
      timer.stop()
      turns?.stop()
      await Promise.all([rounds.settled(), polls.settled()])
    }
  }
}

/** A tenth more or less: replicas that started together do not stay together. */
const spread = (ms: number): number => ms * (0.9 + Math.random() * 0.2)

/** Polls at an interval, and earlier after a message. */
function createPollTimer (poll: () => Promise<void>, pauseMs: () => number, report: (fault: unknown) => void) {
  let timer: NodeJS.Timeout | undefined
  /** Time at which the timer fires next, and time at which it fired last. */
  let dueAtMs = Infinity
  let rangAtMs = -Infinity
  let stopped = false
  let isFailing = false

  /** Reports an outage once, not four times a second. */
  function fail (fault: unknown): void {
    if (!isFailing) report(fault)
    isFailing = true
  }

  function heal (): void {
    isFailing = false
  }

  /** Moves the next poll only to an earlier time, so that a stream of messages cannot delay it. */
  function schedule (ms: number): void {
    const wantedAtMs = performance.now() + ms
    if (stopped || wantedAtMs >= dueAtMs) return
    clearTimeout(timer)
    dueAtMs = wantedAtMs
    timer = setTimeout(ring, ms).unref()
  }

  function ring (): void {
    dueAtMs = Infinity
    rangAtMs = performance.now()
    poll().then(heal, fail).finally(() => schedule(pauseMs()))
  }

  return {
    start: () => schedule(0),
    nudge: () => schedule(Math.max(NUDGE_MS, rangAtMs + LEAST_GAP_MS - performance.now())),
    stop () {
      stopped = true
      clearTimeout(timer)
    }
  }
}

/** True if a reading of another replica is of the same server, history, tables and role, with the same setting of writes. */
function isSameOrder (last: Ends, shared: Pick<Ends, 'server' | 'timeline' | 'place' | 'readOnlySettings'>): boolean {
  const { server, timeline, place, readOnlySettings } = shared
  return server === last.server && timeline === last.timeline && place === last.place && readOnlySettings === last.readOnlySettings
}

/** True if the revocations are of another server, or of another history of the same server, and do not follow the last reading. */
function isOtherServer (last: Ends, { server, timeline, snapshot }: Ends): boolean {
  return server !== last.server || timeline !== last.timeline || BigInt(boundsOf(snapshot).xmax) < BigInt(boundsOf(last.snapshot).xmax)
}

/** Returns the oldest open transaction. The lowest open id stays the same while that transaction is open. */
function nextOldest (
  oldest: { id: string, sinceMs: number } | null,
  snapshot: string,
  nowMs: number
): { id: string, sinceMs: number } | null {
  const { xmin: id, xmax } = boundsOf(snapshot)
  if (id === xmax) return null
  return oldest?.id === id ? oldest : { id, sinceMs: nowMs }
}
