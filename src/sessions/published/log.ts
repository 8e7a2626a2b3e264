import { createHash } from 'node:crypto'
import { idDigest } from '../../core/claims.js'
import type { Db } from '../../tables/db.js'
import type { AnsweredReading } from '../revocations/knowledge.js'
import type { MarkedUser } from '../revocations/revocations.js'
import { boundsOf } from '../revocations/snapshots.js'
import { readRecentEnds } from './recent.js'

/** `identity.xmin` */
const CURSOR = /^([A-Za-z0-9_-]{16})\.([0-9]{1,20})$/
/** Most ids that `read` returns at once. */
const MOST_IDS = 10_000

/** Sessions and users that one reading named. */
interface Batch {
  /** `xmax` of the reading's snapshot: the transactions of these ends are below it. */
  xmax: bigint
  learntAtMs: number
  /** JSON strings, comma-separated. */
  ids: string
  count: number
  /** JSON objects, comma-separated. */
  marks: string
  countMarks: number
}

/** Ids and marks of users from a position on. */
export interface IdPage {
  /** JSON strings, comma-separated, as bytes: every client gets the same ones, so that a thousand of them cost no more memory than one. */
  ids: Buffer
  /** JSON objects, comma-separated, as bytes too. */
  marks: Buffer
  /** Position of the next page. */
  next: number
  hasMore: boolean
}

/** State as of which the log is complete. */
export interface LogState {
  /** When PostgreSQL was asked, by this process's monotonic clock. */
  askedAtMs: number
  /** Place from which another request continues, at any replica. */
  cursor: string
  /** Every session with a first proof from before this has ended, of all users: Unix seconds; null if none has. */
  endedBefore: number | null
}

/**
 * Ends of the last seconds, in memory, for the services that follow them. It follows this replica's revocation readings, so that a
 * thousand clients cost PostgreSQL nothing. docs/consistency.md has the argument.
 */
export interface RevocationLog {
  /** Null until the log is complete: after a start, and after a gap. */
  state (): LogState | null
  /**
   * Returns the position from which a client reads.
   *
   * @param cursor of an earlier answer. `isFull` says if the client gets everything that is kept: without one, and with one of
   * another database
   */
  positionAfter (cursor: string | undefined): { position: number, isFull: boolean }
  /** Returns the ids and the marks from a position on, some thousand at most. */
  read (position: number): IdPage
  /** Calls back after each reading. @returns a function that stops that */
  follow (listener: () => void): () => void
  /** Ids that are kept. */
  size (): number
}

export interface LogOptions {
  db: Db
  onReading (follow: (reading: AnsweredReading) => void): unknown
  /** For how long an end is kept: longer than an access token lives. */
  keepSeconds: number
  /** Called when the ends from before the first reading could not be read. They are read again after the next reading. */
  report (error: unknown): void
}

/** The batches that are kept, in the order in which they were learnt. Positions count all batches since the start. */
function createBatches (keepSeconds: number) {
  let batches: Batch[] = []
  /** Position of the first batch that is kept. */
  let first = 0
  let size = 0
  /** Pages by position, until the batches change. */
  const pages = new Map<number, IdPage>()

  function pageFrom (position: number): IdPage {
    let next = Math.max(position - first, 0)
    const from = next
    for (let count = 0; next < batches.length && count < MOST_IDS; next++) count += batches[next]!.count + batches[next]!.countMarks
    const page = batches.slice(from, next)
    const joined = (part: 'ids' | 'marks') => Buffer.from(page.map((batch) => batch[part]).filter((text) => text !== '').join(), 'latin1')
    return { ids: joined('ids'), marks: joined('marks'), next: first + next, hasMore: next < batches.length }
  }

  return {
    add (sessionIds: readonly string[], marked: readonly MarkedUser[], xmax: bigint): void {
      if (sessionIds.length + marked.length === 0) return
      const ids = sessionIds.map((id) => `"${idDigest(id)}"`).join()
      const marks = marked.map(({ userId, endedBefore }) => `{"user":"${idDigest(userId)}","before":${endedBefore * 1000}}`).join()
      batches.push({ xmax, learntAtMs: performance.now(), ids, count: sessionIds.length, marks, countMarks: marked.length })
      size += sessionIds.length
      pages.clear()
    },
    forgetOld (): void {
      const keptSinceMs = performance.now() - keepSeconds * 1000
      let count = 0
      while (count < batches.length && batches[count]!.learntAtMs < keptSinceMs) size -= batches[count++]!.count
      if (count === 0) return
      batches = batches.slice(count)
      first += count
      pages.clear()
    },
    clear (): void {
      first += batches.length
      batches = []
      size = 0
      pages.clear()
    },
    /** Returns the position of the first batch with transactions from `xmin` on. */
    positionOf (xmin: bigint): number {
      const found = batches.findIndex(({ xmax }) => xmax > xmin)
      return first + (found === -1 ? batches.length : found)
    },
    read (position: number): IdPage {
      const page = pages.get(position) ?? pageFrom(position)
      pages.set(position, page)
      return page
    },
    size: () => size
  }
}

export function createRevocationLog ({ db, onReading, keepSeconds, report }: LogOptions): RevocationLog {
  const listeners = new Set<() => void>()
  const batches = createBatches(keepSeconds)
  /** Reading after which the ends from before are read; the batches of the readings since are there. */
  let gap: AnsweredReading | null = null
  let last: AnsweredReading | null = null
  /** Identity of the order of transactions; null until the ends from before the gap are read. */
  let identity: string | null = null
  let loading: Promise<void> | undefined
  let isFailing = false

  /** Reads the ends from before the gap. Each page is asked after the reading of the gap was answered, so it sees what that saw. */
  async function load (from: AnsweredReading): Promise<void> {
    const xmax = xmaxOf(from)
    let place = ''
    for await (const page of readRecentEnds(db, keepSeconds)) {
      if (gap !== from) return
      if (page.server !== from.server) throw new Error('PostgreSQL connections lead to different servers')
      batches.add(page.sessionIds, page.marked, xmax)
      place = page.place
    }
    if (gap !== from) return
    gap = null
    identity = identityOf(from, place)
    isFailing = false
  }

  function begin (reading: AnsweredReading): void {
    batches.clear()
    identity = null
    gap = reading
  }

  onReading((reading) => {
    if (reading.isGap) begin(reading)
    else batches.add(reading.named.filter(({ isOver }) => isOver).map(({ sessionId }) => sessionId), reading.marked, xmaxOf(reading))
    last = reading
    batches.forgetOld()
    if (gap !== null) loading ??= load(gap).catch(fail).finally(() => { loading = undefined })
    tell()
  })

  /** Reports an outage once, not four times a second. */
  function fail (error: unknown): void {
    if (!isFailing) report(error)
    isFailing = true
  }

  function tell (): void {
    for (const listener of listeners) listener()
  }

  return {
    state: () => identity === null || last === null
      ? null
      : { askedAtMs: last.askedAtMs, cursor: `${identity}.${boundsOf(last.snapshot).xmin}`, endedBefore: last.endedBefore },
    positionAfter (cursor = '') {
      const [, of, xmin] = CURSOR.exec(cursor) ?? []
      if (of === undefined || of !== identity) return { position: batches.positionOf(0n), isFull: true }
      // Each transaction below `xmin` had finished at that reading, so its client has the batch if all of it is below.
      return { position: batches.positionOf(BigInt(xmin!)), isFull: false }
    },
    read: batches.read,
    follow (listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    size: batches.size
  }
}

const xmaxOf = ({ snapshot }: AnsweredReading): bigint => BigInt(boundsOf(snapshot).xmax)

/** Cursors of another server, history, database or schema have another identity. */
function identityOf ({ server, timeline }: AnsweredReading, place: string): string {
  return createHash('sha256').update(JSON.stringify([server, timeline, place])).digest().toString('base64url', 0, 12)
}
