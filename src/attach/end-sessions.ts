import { setTimeout as delay } from 'node:timers/promises'

/** Ends a user's sessions at the host, all but the one named. */
export type EndSessions = (userId: string, except: { except: string | null }) => void | Promise<void>

const FIRST_RETRY_MS = 1_000
const TRIES = 6

export interface HostSessions {
  /** Tells the host, in its own time: nothing waits for it. Here those sessions have ended already. */
  end (userId: string, except: string | null): void
  stop (): void
}

/** Best effort: a host that does not take it is told again, half a minute long. What guards stand in front of is shut either way. */
export function tellHost (endSessions: EndSessions | undefined, report: (error: unknown, isLast: boolean) => void): HostSessions {
  const closing = new AbortController()

  async function tell (userId: string, except: string | null): Promise<void> {
    for (let attempt = 1; endSessions !== undefined; attempt++) {
      try {
        return await endSessions(userId, { except })
      } catch (error) {
        report(error, attempt === TRIES)
        if (attempt === TRIES) return
        await delay(FIRST_RETRY_MS * 2 ** (attempt - 1) * (0.8 + Math.random() * 0.4), undefined, { ref: false, signal: closing.signal })
      }
    }
  }

  return {
    end: (userId, except) => { tell(userId, except).catch(() => {}) },
    stop: () => { closing.abort() }
  }
}
