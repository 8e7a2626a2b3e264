import type { SessionContext } from '../core/assurance.js'

const CHECK_MS = 1_000
/** Time without any answer of PostgreSQL after which a session counts as ended. */
const UNANSWERED_MS = 60_000

export interface WatchDeps {
  isFresh (): boolean
  /** PostgreSQL's clock in Unix milliseconds, never behind it. */
  nowMs (): number
  /** Returns the session if it lives, else null. Rejects while that cannot be known. */
  find (userId: string, sessionId: string): Promise<SessionContext | null>
}

interface Watched {
  userId: string
  sessionId: string
  expiresAt: number
  authTime: number
  /** True if an end may have been missed. */
  isUnsure: boolean
  onEnd: () => void
}

/** Watches sessions whose connection outlives the request: calls back once when the session ends. */
export interface SessionWatch {
  /** @returns a function that stops watching */
  add (context: SessionContext, onEnd: () => void): () => void
  ended (userId: string, sessionId: string): void
  /** Every session with a proof from before this time has ended (Unix seconds). */
  endedBefore (time: number): void
  /** Revocations may have been missed: every session is read again. */
  gap (): void
  /** Checks expiry and the sessions that must be read again. Runs each second while there is one to watch. */
  check (): Promise<void>
  stop (): void
  readonly size: number
}

export function createSessionWatch ({ isFresh, nowMs, find }: WatchDeps): SessionWatch {
  const watched = new Map<string, Set<Watched>>()
  let timer: NodeJS.Timeout | undefined
  let freshAtMs = performance.now()
  let checking: Promise<void> | undefined

  const keyOf = (userId: string, sessionId: string) => JSON.stringify([userId, sessionId])
  const all = () => [...watched.values()].flatMap((set) => [...set])

  function remove (one: Watched): boolean {
    const key = keyOf(one.userId, one.sessionId)
    const set = watched.get(key)
    if (set?.delete(one) !== true) return false
    if (set.size === 0) watched.delete(key)
    if (watched.size === 0) stop()
    return true
  }

  function end (one: Watched): void {
    if (remove(one)) one.onEnd()
  }

  async function checkOne (one: Watched): Promise<void> {
    if (!one.isUnsure && one.expiresAt * 1000 > nowMs()) return
    one.isUnsure = false
    try {
      const context = await find(one.userId, one.sessionId)
      if (context === null) end(one)
      else one.expiresAt = context.expiresAt
    } catch {
      one.isUnsure = true
    }
  }

  async function checkAll (): Promise<void> {
    const isKnown = isFresh()
    if (isKnown) freshAtMs = performance.now()
    if (performance.now() - freshAtMs > UNANSWERED_MS) for (const one of all()) end(one)
    // One after the other, since all of them may be unsure at once. Without PostgreSQL no question is asked.
    else if (isKnown) for (const one of all()) await checkOne(one)
  }

  function check (): Promise<void> {
    checking ??= checkAll().finally(() => { checking = undefined })
    return checking
  }

  function stop (): void {
    clearInterval(timer)
    timer = undefined
  }

  return {
    add ({ userId, sessionId, expiresAt, authTime }, onEnd) {
      // The session may have ended since the request was accepted.
      const one: Watched = { userId, sessionId, expiresAt, authTime, isUnsure: true, onEnd }
      const key = keyOf(userId, sessionId)
      watched.set(key, (watched.get(key) ?? new Set()).add(one))
      if (timer === undefined) {
        freshAtMs = performance.now()
        timer = setInterval(() => { void check() }, CHECK_MS).unref()
      }
      void checkOne(one)
      return () => { remove(one) }
    },
    ended (userId, sessionId) {
      for (const one of [...watched.get(keyOf(userId, sessionId)) ?? []]) end(one)
    },
    endedBefore (time) {
      for (const one of all()) if (one.authTime < time) end(one)
    },
    gap () {
      for (const one of all()) one.isUnsure = true
    },
    check,
    stop,
    get size () { return watched.size }
  }
}
