import { AgingMap } from '../core/aging-map.js'

/** Milliseconds for which this process uses a lock without a question to PostgreSQL. */
const REMEMBER_MS = 1_000
const MOST_USERS = 10_000

/** Users whose TOTP is locked, as far as this process knows: a flood on one user costs no statement. */
export interface Locks {
  /** Returns the seconds to wait, 0 if no lock is known. */
  waitSeconds (userId: string): number
  locked (userId: string, seconds: number): void
  released (userId: string): void
}

export function createLocks (): Locks {
  const known = new AgingMap<string, { forgetAtMs: number, endsAtMs: number }>({
    keepMs: REMEMBER_MS, capacity: MOST_USERS, clockMs: () => performance.now()
  })
  return {
    waitSeconds (userId) {
      const lock = known.get(userId)
      if (lock === undefined) return 0
      const nowMs = performance.now()
      if (nowMs < lock.forgetAtMs) return Math.ceil((lock.endsAtMs - nowMs) / 1000)
      known.delete(userId)
      return 0
    },
    locked (userId, seconds) {
      const nowMs = performance.now()
      known.set(userId, { forgetAtMs: nowMs + Math.min(REMEMBER_MS, seconds * 1000), endsAtMs: nowMs + seconds * 1000 })
    },
    released: (userId) => { known.delete(userId) }
  }
}
