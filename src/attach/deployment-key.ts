import { Refusal } from '../core/refusals.js'
import type { Key } from '../core/keys/seal.js'
import { createDigestKey, SealedElsewhereError } from '../factors/recovery/digest-key.js'
import type { Db } from '../tables/db.js'
import { repeat } from '../timing/repeat.js'

/** Time between two attempts while PostgreSQL does not answer. */
const RETRY_MS = 250
const UNREADABLE = 'The key of the database could not be read.'

export interface DeploymentKeyOptions {
  db: Db
  keys: readonly Key[]
  namespace: string
  /** Returns true while the database is known to be unreachable. The database is then not asked. */
  isKnownAway: () => boolean
  fatal: (facts: object, line: string) => void
}

/** Digest key of the deployment. Each process opens it before it becomes ready. */
export interface DeploymentKey {
  /**
   * Returns the key.
   *
   * @throws {Refusal} UNAVAILABLE while the key cannot be read
   */
  read (): Promise<Buffer>
  isOpen (): boolean
  /** Returns the reason, a sentence, why the key does not open in this process; null if it opens or was not tried yet. */
  fault (): string | null
  /**
   * Opens the key, or creates it, before the first request needs it. An operator may remove an old key from SEAL_KEYS as
   * soon as a process with the new key has been ready. While PostgreSQL does not answer, the attempts go on after this
   * function has returned.
   *
   * @param isThere true if PostgreSQL is known to answer: the first attempt is then awaited
   * @throws {SealedElsewhereError} if that attempt finds the data of another namespace
   */
  start (isThere: boolean): Promise<void>
  stop (): void
}

export function createDeploymentKey ({ db, keys, namespace, isKnownAway, fatal }: DeploymentKeyOptions): DeploymentKey {
  const read = createDigestKey(db, keys, namespace)
  const closing = new AbortController()
  let isOpen = false
  let found: SealedElsewhereError | null = null
  let unreadable: string | null = null

  /** Opens the key. Returns false while PostgreSQL does not answer. */
  async function open (): Promise<boolean> {
    try {
      await read()
      isOpen = true
      unreadable = null
    } catch (error) {
      if (error instanceof Refusal) return false
      if (!(error instanceof SealedElsewhereError)) throw error
      found = error
      fatal({ reason: error.message }, 'the keys do not fit the database: nothing is served')
    }
    return true
  }

  /** As `open`, after the start: any other error is logged once, and the attempts go on. */
  async function tryAgain (): Promise<boolean> {
    if (isKnownAway()) return false
    try {
      return await open()
    } catch (error) {
      if (unreadable === null) fatal({ err: error }, 'the key of the database could not be read')
      unreadable = UNREADABLE
      return false
    }
  }

  const keepTrying = () => repeat(tryAgain, { firstMs: RETRY_MS, signal: closing.signal })

  return {
    read: () => read().catch((error: unknown) => {
      throw error instanceof SealedElsewhereError ? new Refusal('UNAVAILABLE', { retryAfterSeconds: 1 }, { cause: error }) : error
    }),
    isOpen: () => isOpen,
    fault: () => found?.summary ?? unreadable,
    async start (isThere) {
      if (isThere && await open()) {
        if (found?.differs === 'namespace') throw found
        return
      }
      void keepTrying()
    },
    stop () { closing.abort() }
  }
}
