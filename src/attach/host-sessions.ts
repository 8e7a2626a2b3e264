import { setTimeout as delay } from 'node:timers/promises'

/** Ends a user's sessions at the host, except the named one. */
export type EndSessions = (userId: string, except: { except: string | null }) => void | Promise<void>

const FIRST_RETRY_MS = 1_000
const TRIES = 6

export interface HostSessions {
  /** Notifies the host and does not wait for it. Countersign has already ended those sessions. */
  end (userId: string, except: string | null): void
  stop (): void
}

/** Notifies the host, as best effort: a failed call is repeated for half a minute. Guarded routes refuse the sessions in any case. */
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
