import type { Db } from '../../tables/db.js'
import type { SharedReading } from './exchange.js'
import type { Ends } from './revocations.js'
import { boundsOf, isWithin } from './snapshots.js'

/** Answered revocation reading, for those that pass revocations on. */
export interface AnsweredReading extends Ends {
  /** When PostgreSQL was asked, by this process's monotonic clock. Every revocation from before that is named by now. */
  askedAtMs: number
  /** True if revocations from before this reading may not have been named, as for `onGap`. */
  isGap: boolean
}

export interface RevocationHandlers {
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

/** State of the revocations as this process knows it, by its own readings and by those of another replica. */
export function createKnowledge (db: Db, boundMs: number, { onEnded, onChanged, onMark, onGap, onOtherServer }: RevocationHandlers) {
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
    const reading: Ends = { ...shared, named: shared.named ?? [], marked: shared.marked ?? [], isWritable: true, tooMany: false }
    if (!isKnown) {
      hear(reading)
      keep(reading, performance.now())
    }
    // PostgreSQL was asked after `fromMs`, and has answered by now.
    const isNewer = fromMs !== null && fromMs > askedAtMs
    if (isNewer) noteTime(fromMs, reading.nowMs)
    if (isNewer || !isKnown) tell(isKnown ? { ...last, named: [], marked: [] } : reading, false)
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
