import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { hash, verify } from '@node-rs/argon2'
import { normalisePassword } from '../core/passwords.js'
import { isOutage } from '../postgres/errors.js'
import { isDjangoHash, verifyDjangoHash } from './django-hashes.js'
import type { Place } from './fair-queue.js'
import { createGate, type Gate } from './concurrency-limiter.js'

/** OWASP's first choice for argon2id: 19 MiB, two passes, one lane. */
const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 }
const PREFIX = `$argon2id$v=19$m=${PARAMETERS.memoryCost},t=${PARAMETERS.timeCost},p=${PARAMETERS.parallelism}$`
/** libuv's default number of threads. One that is set smaller makes hashes slower, not wrong. */
const POOL_THREADS = 4
/** About a second's worth of our own hashes for each core: past that, "try again" is the kinder answer. */
const WAITING_PER_SLOT = 100
/** A hash from Django takes half a second: five seconds' worth. */
const WAITING_PER_SLOW_SLOT = 10
/** A request is cut off after nine seconds. */
const LONGEST_WAIT_MS = 5_000
/** Who is let in asks Postgres before and after the hash: so many that the cores never wait for that. */
const ADMITTED_PER_SLOT = 2

/** The account and the network that wait for a turn. */
export interface Waiter extends Omit<Place, 'isKnown'> {
  /** Whether the network is known to the account; asked only where there is a queue. */
  isKnown (): Promise<boolean>
}

/** A turn of the hasher's. */
export interface Turn {
  waiter: Waiter | undefined
  /** Lets the next one have its turn. */
  leave (): void
}

export interface Hasher {
  /**
   * Where everything that asks for a password waits for its turn, before a guess is spent: turned away here, nothing
   * was done, and twenty right passwords at once are not twenty open guesses. Served in turn by site and network, known
   * networks first; all that name no waiter are one network.
   *
   * @throws Refusal BUSY where too many wait already, or the turn came too late
   */
  inTurn<T> (work: (turn: Turn) => Promise<T>, waiter?: Waiter): Promise<T>
  hash (password: string): Promise<string>
  /**
   * @param hash null for somebody who does not exist, or what is no hash for somebody without a password: takes as long, and is false
   * @param password as it was typed: hashes of ours are made of its normal form, those brought over from Django are not
   * @param turn is left for the lane of slow hashes, where the hash is one
   * @throws Refusal BUSY where that lane is full, or its turn came too late
   */
  verify (hash: string | null, password: string, turn?: Turn): Promise<boolean>
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
export async function createHasher (
  slots = Math.max(1, Math.min(availableParallelism(), POOL_THREADS - 1)), clockMs = () => performance.now()
): Promise<Hasher> {
  const turns = createGate({
    places: slots * ADMITTED_PER_SLOT,
    mostWaiting: slots * WAITING_PER_SLOT,
    longestWaitMs: LONGEST_WAIT_MS,
    isHopeless: isOutage,
    clockMs
  })
  const hashing = createGate({ places: slots, mostWaiting: Infinity })
  // A thread of libuv's stays free: where there is none beside the slots, slow hashes take slots, never all of them.
  const slowSlots = Math.max(1, slots - 1)
  const hasThreadsBeside = slots + slowSlots < POOL_THREADS
  const slow = createGate({ places: slowSlots, mostWaiting: slowSlots * WAITING_PER_SLOW_SLOT, longestWaitMs: LONGEST_WAIT_MS, clockMs })
  const nobodys = await hash(randomBytes(32), PARAMETERS)

  async function verifySlow (stored: string, password: string, turn: Turn | undefined): Promise<boolean> {
    turn?.leave()
    const judge = () => verifyDjangoHash(stored, password)
    return await slow.enter(() => hasThreadsBeside ? judge() : hashing.enter(judge), await placeAt(slow, turn?.waiter))
  }

  async function isRight (stored: string | null, password: string): Promise<boolean> {
    const own = stored?.startsWith('$argon2') ? stored : null
    return await verify(own ?? nobodys, normalisePassword(password)) && own !== null
  }

  return {
    inTurn (work, waiter) {
      const enter = (place: Place | undefined) => turns.enter((leave) => work({ waiter, leave }), place)
      return waiter === undefined || turns.isFree() ? enter(waiter && { ...waiter, isKnown: false }) : placeAt(turns, waiter).then(enter)
    },
    hash: (password) => hashing.enter(() => hash(password, PARAMETERS)),
    verify: (stored, password, turn) => stored !== null && isDjangoHash(stored)
      ? verifySlow(stored, password, turn)
      : hashing.enter(() => isRight(stored, password)),
    isOutdated: (stored) => !stored.startsWith(PREFIX),
    state: () => ({
      running: hashing.state().running + (hasThreadsBeside ? slow.state().running : 0),
      waiting: turns.state().waiting + slow.state().waiting
    })
  }
}

/** Where a waiter waits. A queue that is empty asks nothing of the database. */
async function placeAt (gate: Gate, waiter: Waiter | undefined): Promise<Place | undefined> {
  return waiter && { site: waiter.site, network: waiter.network, isKnown: !gate.isFree() && await waiter.isKnown() }
}
