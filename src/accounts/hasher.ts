import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { hash, verify } from '@node-rs/argon2'
import { normalisePassword } from '../core/passwords/passwords.js'
import { isOutage } from '../postgres/errors.js'
import { HASH_QUEUE_MS } from '../timing/limits.js'
import { isForeign, mustStay, readOwn, replacement, verifyForeignHash } from './foreign-hashes.js'
import type { Place } from './fair-queue.js'
import { createConcurrencyLimiter, type ConcurrencyLimiter } from './concurrency-limiter.js'

/** First choice of OWASP for argon2id: 19 MiB, two passes, one lane. */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
/** Default number of libuv's threads. A smaller setting makes hashes slower, not wrong. */
const POOL_THREADS = 4
/** About one second of our own hashes for each core. Longer queues are refused. */
const WAITING_PER_SLOT = 100
/** Five seconds of Django hashes, at half a second each. */
const WAITING_PER_SLOW_SLOT = 10
/** Admitted requests ask PostgreSQL before and after the hash. This factor keeps the cores busy during those calls. */
const ADMITTED_PER_SLOT = 2

/** Account and network that wait for a turn. */
export interface Waiter extends Omit<Place, 'isKnown'> {
  /** Returns true if the network is known to the account. Called only if there is a queue. */
  isKnown (): Promise<boolean>
}

/** Turn of one request at the hasher. */
export interface Turn {
  waiter: Waiter | undefined
  /** Releases the turn for the next request. */
  leave (): void
}

export interface Hasher {
  /**
   * Queue of every operation that asks for a password. A request waits here before it consumes a guess, so a refused
   * request has changed nothing, and twenty right passwords at once are not twenty open guesses. Turns go by site and
   * network, known networks first. Calls without a waiter count as one network.
   *
   * @throws {Refusal} BUSY if too many requests wait, or the turn came too late
   */
  inTurn<T> (work: (turn: Turn) => Promise<T>, waiter?: Waiter): Promise<T>
  hash (password: string): Promise<string>
  /**
   * Checks a password. Without a usable hash it takes as long and returns false.
   *
   * @param hash null for an account that does not exist; a mark for an account without a password
   * @param password as typed: our own hashes use its normal form, imported hashes do not
   * @param turn is released before a slow hash waits in its own queue
   * @throws {Refusal} BUSY if the queue of slow hashes is full, or the turn came too late
   */
  verify (hash: string | null, password: string, turn?: Turn): Promise<boolean>
  /**
   * Returns a hash with the parameters of today for a password that matched a stored one, in the normal form of that one; null if the
   * stored one is of today, or must stay.
   */
  renew (hash: string, password: string): Promise<string | null>
  /** Numbers of running hashes, and of passwords that wait for a turn. */
  state (): { running: number, waiting: number }
}

/**
 * Creates the hasher for argon2id. Concurrent hashes are limited to the number of cores and stay below libuv's threads:
 * DNS, files and a reconnect to PostgreSQL need the remaining threads.
 *
 * @param clockMs monotonic clock that measures the wait for a turn
 * @param parameters cost of new hashes. For tests, which check hundreds of passwords
 */
export async function createHasher (
  slots = Math.max(1, Math.min(availableParallelism(), POOL_THREADS - 1)), clockMs = () => performance.now(), parameters = PARAMETERS
): Promise<Hasher> {
  const { memoryCost, timeCost, parallelism } = parameters
  const prefix = `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=${parallelism}$`
  const turns = createConcurrencyLimiter({
    places: slots * ADMITTED_PER_SLOT,
    mostWaiting: slots * WAITING_PER_SLOT,
    longestWaitMs: HASH_QUEUE_MS,
    isHopeless: isOutage,
    clockMs
  })
  const hashing = createConcurrencyLimiter({ places: slots, mostWaiting: Infinity })
  // One thread of libuv stays free. If there are no threads besides the slots, slow hashes use some of the slots, never
  // all.
  const slowSlots = Math.max(1, slots - 1)
  const hasThreadsBeside = slots + slowSlots < POOL_THREADS
  const slow = createConcurrencyLimiter({
    places: slowSlots, mostWaiting: slowSlots * WAITING_PER_SLOW_SLOT, longestWaitMs: HASH_QUEUE_MS, clockMs
  })
  const nobodys = await hash(randomBytes(32), parameters)

  async function verifySlow (stored: string, password: string, turn: Turn | undefined): Promise<boolean> {
    turn?.leave()
    const judge = () => verifyForeignHash(stored, password)
    return await slow.enter(() => hasThreadsBeside ? judge() : hashing.enter(judge), await placeAt(slow, turn?.waiter))
  }

  async function isRight (stored: string | null, password: string): Promise<boolean> {
    const own = stored === null ? null : readOwn(stored)
    return await verify(own?.hash ?? nobodys, (own?.normalise ?? normalisePassword)(password)) && own !== null
  }

  const hashNow = (password: string): Promise<string> => hashing.enter(() => hash(password, parameters))

  return {
    inTurn (work, waiter) {
      const enter = (place: Place | undefined) => turns.enter((leave) => work({ waiter, leave }), place)
      return waiter === undefined || turns.isFree() ? enter(waiter && { ...waiter, isKnown: false }) : placeAt(turns, waiter).then(enter)
    },
    hash: hashNow,
    verify: (stored, password, turn) => stored !== null && isForeign(stored)
      ? verifySlow(stored, password, turn)
      : hashing.enter(() => isRight(stored, password)),
    async renew (stored, password) {
      if (readOwn(stored)?.hash.startsWith(prefix) === true || mustStay(stored, password)) return null
      return await replacement(stored, password, hashNow)
    },
    state: () => ({
      running: hashing.state().running + (hasThreadsBeside ? slow.state().running : 0),
      waiting: turns.state().waiting + slow.state().waiting
    })
  }
}

/** Returns the place of a waiter. An empty queue needs no statement. */
async function placeAt (limiter: ConcurrencyLimiter, waiter: Waiter | undefined): Promise<Place | undefined> {
  return waiter && { site: waiter.site, network: waiter.network, isKnown: !limiter.isFree() && await waiter.isKnown() }
}
