import { setTimeout as delay } from 'node:timers/promises'
import { Refusal } from '../core/refusals.js'
import type { Key } from '../core/seal.js'
import { createDigestKey, SealedElsewhereError } from '../factors/recovery/digest-key.js'
import type { Db } from '../tables/db.js'

/** Between two tries while PostgreSQL does not answer. */
const RETRY_MS = 250

export interface DeploymentKeyOptions {
  db: Db
  keys: readonly Key[]
  namespace: string
  /** Whether the database is known to be away: then it is not asked. */
  isKnownAway: () => boolean
  fatal: (facts: object, line: string) => void
}

/** The digest key of the deployment, which every process opens before it is ready. */
export interface DeploymentKey {
  /** @throws {Refusal} UNAVAILABLE while it cannot be had */
  read (): Promise<Buffer>
  isOpen (): boolean
  /** Why it does not open here, as a sentence; null if it does, or was not tried yet. */
  fault (): string | null
  /**
   * Opens it, or makes it, before anybody needs it: an old key of SEAL_KEYS may go as soon as a process with the new one
   * has been ready. Where PostgreSQL does not answer yet, it goes on trying after this has returned.
   *
   * @param isThere whether PostgreSQL is known to answer: then the first try is waited for
   * @throws {SealedElsewhereError} if that finds the data of another namespace
   */
  start (isThere: boolean): Promise<void>
  stop (): void
}

export function createDeploymentKey ({ db, keys, namespace, isKnownAway, fatal }: DeploymentKeyOptions): DeploymentKey {
  const read = createDigestKey(db, keys, namespace)
  const closing = new AbortController()
  let isOpen = false
  let found: SealedElsewhereError | null = null

  /** @returns false while PostgreSQL does not answer */
  async function open (): Promise<boolean> {
    try {
      await read()
      isOpen = true
    } catch (error) {
      if (error instanceof Refusal) return false
      if (!(error instanceof SealedElsewhereError)) throw error
      found = error
      fatal({ reason: error.message }, 'the keys do not fit the database: nothing is served')
    }
    return true
  }

  async function keepTrying (): Promise<void> {
    while (!closing.signal.aborted && (isKnownAway() || !await open())) {
      await delay(RETRY_MS * (0.8 + Math.random() * 0.4), undefined, { ref: false })
    }
  }

  return {
    read: () => read().catch((error: unknown) => {
      throw error instanceof SealedElsewhereError ? new Refusal('UNAVAILABLE', { retryAfterSeconds: 1 }, { cause: error }) : error
    }),
    isOpen: () => isOpen,
    fault: () => found?.summary ?? null,
    async start (isThere) {
      if (isThere && await open()) {
        if (found?.differs === 'namespace') throw found
        return
      }
      keepTrying().catch((error: unknown) => { fatal({ err: error }, 'the key of the database could not be read') })
    },
    stop () { closing.abort() }
  }
}
