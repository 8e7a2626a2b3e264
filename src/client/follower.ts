import { setTimeout as delay } from 'node:timers/promises'
import { AgingMap } from '../core/aging-map.js'
import type { Http } from './http.js'
import type { Opened } from './token.js'

/** Knowledge that is older is not used. */
const STALE_MS = 1_000
/** Time for a new connection and the first line; and for each line after it. */
const FIRST_LINE_MS = 3_000
const LINE_MS = 1_000
/** Pauses after a failure, or after an answer that ended at once. */
const LEAST_PAUSE_MS = 50
const MOST_PAUSE_MS = 500
const MOST_LINE_CHARACTERS = 4_194_304

/** A line, as docs/protocol.md has it. */
export interface Line {
  ms: number
  age: number
  time: number
  keep: number
  full: boolean
  more: boolean
  cursor: string
  ids: string[]
  marks: Array<{ user?: string, before: number }>
}

/** The service answered, and does not serve this client. */
export class NotServed extends Error {
  override readonly name = 'NotServed'
  readonly status: number
  constructor (status: number) {
    super(status === 401 ? 'The key is none of CLIENT_KEYS' : `GET /revocations was answered ${status}`)
    this.status = status
  }
}

/** Follows the ended sessions at `/revocations`. All times are by this process's monotonic clock. */
export interface Follower {
  isFresh (): boolean
  /** Age of the knowledge in milliseconds; Infinity before there is any. */
  ageMs (): number
  /** Time of the service's database, in Unix seconds: never behind it. */
  nowSeconds (): number
  /** Seconds for which ends are known. */
  keepSeconds (): number
  isRevoked (token: Opened): boolean
  /** Result of the last request; null after a line. */
  fault (): unknown
  /** Calls back after each complete line, and after each failure. @returns a function that stops that */
  onNews (listener: () => void): () => void
  close (): void
}

/** Facts of the lines. */
function createKnowledge (clockMs: () => number) {
  let ended = new AgingMap<string, true>({ keepMs: 0, clockMs })
  let marks = new AgingMap<string, number>({ keepMs: 0, clockMs })
  let keepSeconds = 0
  /** False until a full list was complete. */
  let isComplete = false
  let asOfMs = -Infinity
  let clock = { timeMs: 0, atMs: 0 }
  let cursor: string | undefined

  /** Forgets everything: another lifetime of tokens needs another list. */
  function begin (keep: number): void {
    const keepMs = keep * 1000
    ended = new AgingMap({ keepMs, clockMs })
    marks = new AgingMap({ keepMs, clockMs })
    keepSeconds = keep
    isComplete = false
    asOfMs = -Infinity
    cursor = undefined
  }

  return {
    /** @param beganAtMs when the request began, by whose age the line counts */
    take (line: Line, beganAtMs: number): void {
      if (line.keep !== keepSeconds) {
        begin(line.keep)
        if (!line.full) throw new Error('The lifetime of access tokens changed')
      }
      for (const id of line.ids) ended.set(id, true)
      for (const { user = '', before } of line.marks) marks.set(user, Math.max(before, marks.get(user) ?? 0))
      clock = { timeMs: line.time, atMs: beganAtMs + line.ms }
      if (line.more) return
      isComplete ||= line.full
      if (!isComplete) throw new Error('The list does not begin with everything')
      // The way of the request is counted as age.
      asOfMs = Math.max(asOfMs, beganAtMs + line.ms - line.age)
      cursor = line.cursor
    },
    path: () => `/revocations${cursor === undefined ? '' : `?after=${encodeURIComponent(cursor)}`}`,
    isFresh: () => clockMs() - asOfMs <= STALE_MS,
    ageMs: () => clockMs() - asOfMs,
    nowSeconds: () => (clock.timeMs + clockMs() - clock.atMs) / 1000,
    keepSeconds: () => keepSeconds,
    isRevoked: ({ session, user, claims: { auth_time: authTime } }: Opened) => ended.get(session) === true ||
      (marks.size > 0 && authTime * 1000 < Math.max(marks.get(user) ?? 0, marks.get('') ?? 0))
  }
}

export function createFollower (http: Http, key: string, clockMs = () => performance.now()): Follower {
  const { take, path, ...facts } = createKnowledge(clockMs)
  const listeners = new Set<() => void>()
  let isClosed = false
  /** Aborts the request that runs. */
  let broken = new AbortController()
  let fault: unknown = new Error('There was no answer yet')

  function tell (news: unknown): void {
    fault = news
    for (const listener of listeners) listener()
  }

  async function followOnce (): Promise<void> {
    broken = new AbortController()
    const { signal } = broken
    const beganAtMs = clockMs()
    const giveUp = (): void => { broken.abort(new Error('No line came in time')) }
    let timer = setTimeout(giveUp, FIRST_LINE_MS)
    try {
      const answer = await http.open(path(), { headers: { authorization: `Bearer ${key}` }, timeoutMs: FIRST_LINE_MS, signal })
      if (answer.statusCode !== 200) {
        answer.resume()
        throw new NotServed(answer.statusCode ?? 0)
      }
      let rest = ''
      let hasLines = false
      for await (const chunk of answer.setEncoding('utf8')) {
        const texts = (rest + String(chunk)).split('\n')
        rest = texts.pop()!
        if (rest.length > MOST_LINE_CHARACTERS) throw new Error('A line is too long')
        if (texts.length === 0) continue
        clearTimeout(timer)
        timer = setTimeout(giveUp, LINE_MS)
        for (const text of texts) take(lineOf(text), beganAtMs)
        hasLines = true
        tell(null)
      }
      if (!hasLines || rest !== '') throw new Error('The answer of /revocations ended before its line did')
    } finally {
      clearTimeout(timer)
      broken.abort()
    }
  }

  async function follow (failures = 0): Promise<void> {
    const beganAtMs = clockMs()
    const error = await followOnce().then(() => null, (error: unknown) => error)
    if (isClosed) return
    if (error !== null) tell(error)
    const failed = error === null && clockMs() - beganAtMs > LINE_MS ? 0 : failures + 1
    if (failed > 0) await delay(Math.min(LEAST_PAUSE_MS * 2 ** (failed - 1), MOST_PAUSE_MS))
    if (!isClosed) void follow(failed)
  }
  void follow()

  return {
    ...facts,
    fault: () => fault,
    onNews (listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    close () {
      isClosed = true
      broken.abort()
      tell(new Error('The client is closed'))
    }
  }
}

/** Fields that this release does not know are ignored. @throws if one that it needs is not there */
function lineOf (text: string): Line {
  const line = JSON.parse(text) as Line
  const numbers = [line.ms, line.age, line.time, line.keep].every((value) => Number.isFinite(value) && value >= 0)
  const lists = Array.isArray(line.ids) && (line.marks === undefined || Array.isArray(line.marks))
  if (!numbers || !lists || typeof line.cursor !== 'string' || typeof line.full !== 'boolean' || typeof line.more !== 'boolean') {
    throw new Error('A line of /revocations cannot be read')
  }
  return { ...line, marks: line.marks ?? [] }
}
