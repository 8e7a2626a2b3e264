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
  let isStopped = false

  async function tell (userId: string, except: string | null): Promise<void> {
    for (let tries = 1; tries <= TRIES; tries++) {
      try {
        return await endSessions?.(userId, { except })
      } catch (error) {
        report(error, tries === TRIES)
        await delay(FIRST_RETRY_MS * 2 ** (tries - 1) * (0.8 + Math.random() * 0.4), undefined, { ref: false })
        if (isStopped) return
      }
    }
  }

  return {
    end: (userId, except) => { void tell(userId, except) },
    stop: () => { isStopped = true }
  }
}
