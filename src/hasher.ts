import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { hash, verify } from '@node-rs/argon2'
import { normalisePassword } from './core/passwords.js'
import { Refusal } from './core/refusals.js'
import { isDjangoHash, verifyDjangoHash } from './django/hashes.js'

/** OWASP's first choice for argon2id: 19 MiB, two passes, one lane. */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
const PREFIX = `$argon2id$v=19$m=${PARAMETERS.memoryCost},t=${PARAMETERS.timeCost},p=${PARAMETERS.parallelism}$`
/** libuv's default number of threads. One that is set smaller makes hashes slower, not wrong. */
const POOL_THREADS = 4
/** About a second's worth of hashes for each core: past that, "try again" is the kinder answer. */
const WAITING_PER_SLOT = 100

export interface Hasher {
  hash (password: string): Promise<string>
  /**
   * @param hash null for somebody who does not exist, or what is no hash for somebody without a password: takes as long, and is false
   * @param password as it was typed: hashes of ours are made of its normal form, those brought over from Django are not
   */
  verify (hash: string | null, password: string): Promise<boolean>
  /** Whether a hash was made under other parameters than today's. */
  isOutdated (hash: string): boolean
  state (): { running: number, waiting: number }
}

/**
 * argon2id, as many at once as there are cores and fewer than libuv has threads: the others serve DNS and files, and
 * a reconnect to Postgres must not wait behind two hundred hashes. Who comes when the queue is full gets BUSY.
 */
export async function createHasher (slots = Math.max(1, Math.min(availableParallelism(), POOL_THREADS - 1))): Promise<Hasher> {
  const queue: Array<() => void> = []
  let running = 0

  async function inTurn<T> (work: () => Promise<T>): Promise<T> {
    if (running >= slots) {
      if (queue.length >= slots * WAITING_PER_SLOT) throw new Refusal('BUSY', { retryAfterSeconds: 2 })
      await new Promise<void>((resolve) => { queue.push(resolve) })
    } else {
      running++
    }
    try {
      return await work()
    } finally {
      // The place is handed on, not given back: nobody can slip in between.
      const next = queue.shift()
      if (next === undefined) running--
      else next()
    }
  }

  const nobodys = await hash(randomBytes(32), PARAMETERS)

  async function isRight (stored: string | null, password: string): Promise<boolean> {
    if (stored !== null && isDjangoHash(stored)) return await verifyDjangoHash(stored, password)
    const own = stored?.startsWith('$argon2') ? stored : null
    return await verify(own ?? nobodys, normalisePassword(password)) && own !== null
  }

  return {
    hash: (password) => inTurn(() => hash(password, PARAMETERS)),
    verify: (stored, password) => inTurn(() => isRight(stored, password)),
    isOutdated: (stored) => !stored.startsWith(PREFIX),
    state: () => ({ running, waiting: queue.length })
  }
}
