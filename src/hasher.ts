import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { hash, verify } from '@node-rs/argon2'
import { normalisePassword } from './core/passwords.js'
import { isOutage } from './db/errors.js'
import { isDjangoHash, verifyDjangoHash } from './django/hashes.js'
import { createGate } from './gate.js'

/** OWASP's first choice for argon2id: 19 MiB, two passes, one lane. */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
const PREFIX = `$argon2id$v=19$m=${PARAMETERS.memoryCost},t=${PARAMETERS.timeCost},p=${PARAMETERS.parallelism}$`
/** libuv's default number of threads. One that is set smaller makes hashes slower, not wrong. */
const POOL_THREADS = 4
/** About a second's worth of our own hashes for each core: past that, "try again" is the kinder answer. */
const WAITING_PER_SLOT = 100
/** A hash from Django takes half a second, so that the same queue may be a minute long; a request is cut off after nine seconds. */
const LONGEST_WAIT_MS = 5_000
/** Who is let in asks Postgres before and after the hash: so many that the cores never wait for that. */
const ADMITTED_PER_SLOT = 2

export interface Hasher {
  /**
   * Where everything that asks for a password waits for its turn, before a guess is spent: turned away here, nothing
   * was done, and twenty right passwords at once are not twenty open guesses.
   *
   * @throws Refusal BUSY where too many wait already, or the turn came too late
   */
  inTurn<T> (work: () => Promise<T>): Promise<T>
  hash (password: string): Promise<string>
  /**
   * @param hash null for somebody who does not exist, or what is no hash for somebody without a password: takes as long, and is false
   * @param password as it was typed: hashes of ours are made of its normal form, those brought over from Django are not
   */
  verify (hash: string | null, password: string): Promise<boolean>
  /** Whether a hash was made under other parameters than today's. */
  isOutdated (hash: string): boolean
  /** Hashes under way, and passwords that wait for their turn. */
  state (): { running: number, waiting: number }
}

/**
 * argon2id, as many at once as there are cores and fewer than libuv has threads: the others serve DNS and files, and
 * a reconnect to Postgres must not wait behind two hundred hashes.
 *
 * @param clockMs monotonic: by it the wait for a turn is measured
 */
export async function createHasher (slots = Math.max(1, Math.min(availableParallelism(), POOL_THREADS - 1)), clockMs = () => performance.now()): Promise<Hasher> {
  const turns = createGate({ places: slots * ADMITTED_PER_SLOT, mostWaiting: slots * WAITING_PER_SLOT, longestWaitMs: LONGEST_WAIT_MS, isHopeless: isOutage, clockMs })
  const hashing = createGate({ places: slots, mostWaiting: Infinity })
  const nobodys = await hash(randomBytes(32), PARAMETERS)

  async function isRight (stored: string | null, password: string): Promise<boolean> {
    if (stored !== null && isDjangoHash(stored)) return await verifyDjangoHash(stored, password)
    const own = stored?.startsWith('$argon2') ? stored : null
    return await verify(own ?? nobodys, normalisePassword(password)) && own !== null
  }

  return {
    inTurn: turns.enter,
    hash: (password) => hashing.enter(() => hash(password, PARAMETERS)),
    verify: (stored, password) => hashing.enter(() => isRight(stored, password)),
    isOutdated: (stored) => !stored.startsWith(PREFIX),
    state: () => ({ running: hashing.state().running, waiting: turns.state().waiting })
  }
}
