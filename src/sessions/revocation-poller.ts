import { readEnds, type Ends } from './revocations.js'
import { isReadOnly } from '../postgres/errors.js'
import type { Db } from '../tables/db.js'

/** How often the feed is read within the time in which every replica must know of an end. */
const POLLS_PER_BOUND = 4
/** "Poll now" messages closer together than this are one. */
const NUDGE_MS = 20
/** However many messages there are, polls begin at least this far apart: a busy deployment sends hundreds a second, and so can whoever writes to Redis. */
const LEAST_GAP_MS = 100

export interface FeedEvents {
  onEnded (userId: string, sessionId: string): void
  /** It lives, and what was read of it before is out of date. */
  onChanged (userId: string, sessionId: string): void
  /**
   * Ends before now may have gone unnamed: this is the first reading, or there were too many ends to name, or Postgres
   * is another one, was started again or went back in time. Nothing that was asked before now may be trusted.
   */
  onGap (): void
  /** The server that was read is not the primary, or is not the one that was read before: connections made before now may lead to the wrong one. */
  onOtherServer (): void
}

/**
 * Follows the ends of sessions in Postgres. What was read before an end stays trusted for at most `revocationSeconds`
 * after the end was committed, since `isFresh` says no as soon as the last answered question is older than that.
 * See docs/consistency.md.
 */
export interface Feed {
  isFresh (): boolean
  /** True while the server that answers is one without writes. */
  isReadOnly (): boolean
  /**
   * Postgres' clock now, Unix milliseconds, by the last reading and this process's monotonic clock: never behind it, and ahead
   * of it by as long as that reading took at most. So nothing that is over by Postgres' clock counts here as going on.
   */
  nowMs (): number
  /** The same the other way: never ahead of it. For what must not be in the future. */
  earliestNowMs (): number
  /** The server that is followed; undefined before the first reading. Times of another one are of another clock. */
  server (): string | undefined
  /** Since when, by that server's clock, every end is named here; null before the first reading. */
  coveredSinceMs (): number | null
  /** Asks now. Resolves when a reading that began after this call has been taken in; rejects if it could not be had. */
  poll (): Promise<void>
  /** Asks soon: somebody said that there is news. */
  nudge (): void
  ageMs (): number
  /** For how long the oldest write transaction of the whole server has been open, as far as this process has seen it; 0 if there is none. */
  oldestWriteMs (): number
  start (): void
  stop (): Promise<void>
}

export function createFeed (db: Db, revocationSeconds: number, { onEnded, onChanged, onGap, onOtherServer }: FeedEvents, report: (fault: unknown) => void): Feed {
  const boundMs = revocationSeconds * 1000
  const createdAtMs = performance.now()
  let last: Ends | null = null
  let coveredSinceMs: number | null = null
  /** When the last answered question was asked, and how far Postgres' clock is ahead of this process's monotonic one: at most, and at least. */
  let askedAtMs = -Infinity
  let aheadMs = Date.now() - performance.now()
  let leastAheadMs = aheadMs
  /** False from when a server without writes answered until the primary does. */
  let isPrimary = true
  let oldestWrite: { id: string, sinceMs: number } | null = null
  let timer: NodeJS.Timeout | undefined
  /** When the timer rings, and when the last question of its was asked. */
  let dueAtMs = Infinity
  let rangAtMs = -Infinity
  let stopped = false
  let isFailing = false
  let running: Promise<void> | undefined
  let queued: Promise<void> | undefined

  async function read (): Promise<void> {
    const startedAtMs = performance.now()
    const reading = await readEnds(db, last?.snapshot ?? null).catch((error: unknown) => {
      if (isReadOnly(error)) leavePrimary()
      throw error
    })
    for (const { userId, sessionId, isOver } of reading.named) (isOver ? onEnded : onChanged)(userId, sessionId)
    const isOther = last !== null && isOtherServer(last, reading)
    if (last === null || isOther || reading.tooMany) {
      coveredSinceMs = reading.nowMs
      onGap()
    }
    if (isOther) onOtherServer()
    oldestWrite = nextOldest(oldestWrite, reading.snapshot, startedAtMs)
    last = reading
    isPrimary = true
    aheadMs = reading.nowMs - startedAtMs
    leastAheadMs = reading.nowMs - performance.now()
    askedAtMs = startedAtMs
  }

  function leavePrimary (): void {
    isPrimary = false
    onOtherServer()
  }

  /** One reading at a time. Who asks during one gets the next, since the current one may have missed the news. */
  function poll (): Promise<void> {
    if (running === undefined) {
      running = read().finally(() => { running = undefined })
      return running
    }
    queued ??= running.catch(() => {}).then(() => { queued = undefined; return poll() })
    return queued
  }

  /** One line for an outage, not four a second. */
  function fail (fault: unknown): void {
    if (!isFailing) report(fault)
    isFailing = true
  }

  function heal (): void {
    isFailing = false
  }

  /** Only ever sooner than planned, so that a stream of messages cannot put the next poll off. */
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
    poll().then(heal, fail).finally(() => schedule(boundMs / POLLS_PER_BOUND * (0.9 + Math.random() * 0.2)))
  }

  return {
    isFresh: () => isPrimary && performance.now() - askedAtMs <= boundMs,
    isReadOnly: () => !isPrimary,
    nowMs: () => performance.now() + aheadMs,
    earliestNowMs: () => performance.now() + leastAheadMs,
    server: () => last?.server,
    coveredSinceMs: () => coveredSinceMs,
    poll,
    nudge: () => schedule(Math.max(NUDGE_MS, rangAtMs + LEAST_GAP_MS - performance.now())),
    ageMs: () => performance.now() - Math.max(askedAtMs, createdAtMs),
    oldestWriteMs: () => oldestWrite === null ? 0 : performance.now() - oldestWrite.sinceMs,
    start: () => schedule(0),
    async stop () {
      stopped = true
      clearTimeout(timer)
      await Promise.allSettled([running, queued])
    }
  }
}

/** The ends of another server, or of another history of the same one, are not those that would have followed the last reading's. */
function isOtherServer (last: Ends, { server, timeline, snapshot }: Ends): boolean {
  return server !== last.server || timeline !== last.timeline || BigInt(boundsOf(snapshot).xmax) < BigInt(boundsOf(last.snapshot).xmax)
}

/** The lowest id that is open is the same one for as long as that transaction is. */
function nextOldest (oldest: { id: string, sinceMs: number } | null, snapshot: string, nowMs: number): { id: string, sinceMs: number } | null {
  const { xmin: id, xmax } = boundsOf(snapshot)
  if (id === xmax) return null
  return oldest?.id === id ? oldest : { id, sinceMs: nowMs }
}

/** Of `xmin:xmax:ids that are open`. */
function boundsOf (snapshot: string): { xmin: string, xmax: string } {
  const [xmin, xmax] = snapshot.split(':') as [string, string]
  return { xmin, xmax }
}
