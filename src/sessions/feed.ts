import { readEnds } from '../db/ends.js'
import type { Db } from '../db/tables.js'

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
   * is another one, was started anew or went back in time. Nothing that was asked before now may be trusted.
   */
  onGap (): void
}

/**
 * Follows the ends of sessions in Postgres. What was read before an end stays trusted for at most `revocationSeconds`
 * after the end was committed, since `isFresh` says no as soon as the last answered question is older than that.
 * See docs/consistency.md.
 */
export interface Feed {
  isFresh (): boolean
  /** Postgres' clock now, Unix milliseconds, by the last reading and this process's monotonic clock. */
  nowMs (): number
  /** Since when, by Postgres' clock, every end is named here; null before the first reading. */
  coveredSinceMs (): number | null
  /** Asks now. Resolves when a reading that began after this call has been taken in; rejects if it could not be had. */
  poll (): Promise<void>
  /** Asks soon: somebody said that there is news. */
  nudge (): void
  ageMs (): number
  start (): void
  stop (): Promise<void>
}

export function createFeed (db: Db, revocationSeconds: number, { onEnded, onChanged, onGap }: FeedEvents, report: (fault: unknown) => void): Feed {
  const boundMs = revocationSeconds * 1000
  const createdAtMs = performance.now()
  let cursor: string | null = null
  let server: string | undefined
  let coveredSinceMs: number | null = null
  /** When the last answered question was asked, and how far Postgres' clock is ahead of this process's monotonic one. */
  let askedAtMs = -Infinity
  let aheadMs = Date.now() - performance.now()
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
    const reading = await readEnds(db, cursor)
    for (const { userId, sessionId, isOver } of reading.named) (isOver ? onEnded : onChanged)(userId, sessionId)
    if (cursor === null || reading.server !== server || BigInt(reading.cursor) < BigInt(cursor) || reading.tooMany) {
      coveredSinceMs = reading.nowMs
      onGap()
    }
    cursor = reading.cursor
    server = reading.server
    aheadMs = reading.nowMs - performance.now()
    askedAtMs = startedAtMs
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
    isFresh: () => performance.now() - askedAtMs <= boundMs,
    nowMs: () => performance.now() + aheadMs,
    coveredSinceMs: () => coveredSinceMs,
    poll,
    nudge: () => schedule(Math.max(NUDGE_MS, rangAtMs + LEAST_GAP_MS - performance.now())),
    ageMs: () => performance.now() - Math.max(askedAtMs, createdAtMs),
    start: () => schedule(0),
    async stop () {
      stopped = true
      clearTimeout(timer)
      await Promise.allSettled([running, queued])
    }
  }
}
