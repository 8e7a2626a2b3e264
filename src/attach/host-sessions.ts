import { setMaxListeners } from 'node:events'
import { repeat } from '../timing/repeat.js'

/** Ends a user's sessions at the host, except the named one. */
export type EndSessions = (userId: string, except: { except: string | null }) => void | Promise<void>

/** Half a minute in all. */
const PACE = { tries: 6, firstMs: 1_000, longestMs: 16_000 }

export interface HostSessions {
  /** Notifies the host and does not wait for it. Countersign has already ended those sessions. */
  end (userId: string, except: string | null): void
  stop (): void
}

/** Notifies the host, as best effort: a failed call is repeated for half a minute. Guarded routes refuse the sessions in any case. */
export function tellHost (endSessions: EndSessions | undefined, report: (error: unknown, isLast: boolean) => void): HostSessions {
  const closing = new AbortController()
  // One listener for each call that waits for its next attempt. Node would warn of a leak at eleven users.
  setMaxListeners(0, closing.signal)

  async function tell (userId: string, except: string | null): Promise<void> {
    await repeat(async (isLast) => {
      try {
        await endSessions?.(userId, { except })
        return true
      } catch (error) {
        report(error, isLast)
        return false
      }
    }, { ...PACE, signal: closing.signal })
  }

  return {
    end: (userId, except) => { void tell(userId, except) },
    stop: () => { closing.abort() }
  }
}
