import { createHmac, randomUUID } from 'node:crypto'
import { Refusal } from '../core/refusals.js'
import { setupDigest } from '../core/recovery/setup-codes.js'
import type { ClientOrigin, Lifetimes, AnsweredSession } from '../core/session.js'
import { accountKey, commitLogin, readUsername } from './accounts.js'
import { noteWrongPassword, returnGuess, consumeGuess, unspendGuess, type Guess, type ConsumedGuess } from './password-budget.js'
import type { Db } from '../tables/db.js'
import type { Hasher, Turn } from './hasher.js'
import type { Sessions } from '../sessions/liveness.js'
import { readMethods } from '../sessions/methods.js'
import type { Counters } from '../core/counters.js'
import type { WaiterOf } from './waiters.js'

export interface LoginDeps {
  db: Db
  hasher: Hasher
  waiterOf: WaiterOf
  sessions: Sessions
  digestKey: () => Promise<Buffer>
  lifetimes: Lifetimes
  counters: Counters
}

/**
 * Checks the password and starts a session with only this proof. If staff reset the second factor, the set-up code must
 * come with the password; a right password without it consumes a guess like a wrong one.
 *
 * @param setupCode as typed, or null
 */
export function logIn (
  deps: LoginDeps, username: string, password: string, setupCode: string | null, origin: ClientOrigin
): Promise<AnsweredSession> {
  return deps.hasher.inTurn((turn) => logInNow(deps, turn, username, password, setupCode, origin), deps.waiterOf(username, origin))
}

async function logInNow (
  deps: LoginDeps, turn: Turn, username: string, password: string, setupCode: string | null, origin: ClientOrigin
): Promise<AnsweredSession> {
  const { db, hasher, sessions, lifetimes, counters } = deps
  const guess = await guessAt(deps, username, origin)
  const judged = await judge(deps, turn, guess, password, origin)
  if (judged === null) throw new Refusal('CREDENTIALS_INVALID')
  const { person, shared } = judged
  const { setupRequired } = person
  const rehash = await orGivenBack(deps, guess, shared, () => hasher.renew(person.passwordHash, password))
  const started = await commitLogin(db, {
    userId: person.id,
    version: person.version,
    sessionId: randomUUID(),
    nameDigest: guess.nameDigest,
    network: guess.network,
    shared,
    rehash,
    setupDigest: setupRequired && setupCode !== null ? setupDigest(await deps.digestKey(), person.id, setupCode) : null
  }, origin, lifetimes)
  if (setupRequired) counters.count('codes_total', ['setup', started === null ? 'refused' : 'accepted'])
  if (started === null && setupRequired) {
    await noteWrongPassword(db, person.id, guess, origin, 'setup_code_refused')
    throw new Refusal('SETUP_CODE_REQUIRED')
  }
  // The password was right when it was checked, but the user changed during the hash.
  if (started === null) throw new Refusal('CREDENTIALS_INVALID')
  sessions.ended(person.id, started.endedIds)
  sessions.started(started)
  counters.count('sessions_started_total', ['password'])
  counters.count('sessions_ended_total', ['session_evicted'], started.endedIds.length)
  const { context } = started
  return { ...context, otpMethods: context.otpRequired ? await readMethods(db, context.userId) : [] }
}

/**
 * Checks the password of a session again, with the same budget.
 *
 * @throws {Refusal} REAUTH_REQUIRED unless it is right: a 401 would tell the client that its token is invalid
 */
export async function checkPassword (deps: LoginDeps, userId: string, password: string, origin: ClientOrigin): Promise<void> {
  const username = await readUsername(deps.db, userId)
  if (username === undefined) throw new Refusal('REAUTH_REQUIRED')
  await deps.hasher.inTurn((turn) => askPassword(deps, turn, username, password, origin), deps.waiterOf(username, origin))
}

/**
 * Checks the password for a name within a turn of the hasher. Returns the version that the check used; the later decision
 * requires this version.
 */
export async function askPassword (
  deps: LoginDeps, turn: Turn, username: string, password: string, origin: ClientOrigin
): Promise<{ version: number }> {
  const guess = await guessAt(deps, username, origin)
  const judged = await judge(deps, turn, guess, password, origin)
  if (judged === null) throw new Refusal('REAUTH_REQUIRED')
  await returnGuess(deps.db, guess, judged.shared)
  return { version: judged.person.version }
}

async function guessAt ({ db, digestKey }: LoginDeps, username: string, { network }: ClientOrigin): Promise<Guess> {
  const key = await accountKey(db, username)
  return {
    nameDigest: createHmac('sha256', await digestKey()).update(`username\0${key}`).digest('base64url'),
    usernameKey: key,
    network
  }
}

/**
 * Consumes a guess, then hashes; a name without an account takes as long. Returns null if the password is wrong, or the
 * account is deactivated.
 */
async function judge (deps: LoginDeps, turn: Turn, guess: Guess, password: string, origin: ClientOrigin) {
  const { db, hasher, counters } = deps
  const spent = await consumeGuess(db, guess)
  if (spent.waitSeconds > 0) {
    counters.count('passwords_total', ['limited'])
    throw new Refusal('RATE_LIMITED', { retryAfterSeconds: spent.waitSeconds })
  }
  const { person, shared } = spent
  const isRight = await orGivenBack(deps, guess, shared, () => hasher.verify(person?.passwordHash ?? null, password, turn))
  const isAccepted = isRight && person?.isActive === true
  counters.count('passwords_total', [isAccepted ? 'accepted' : 'refused'])
  if (isAccepted) return { person, shared }
  await noteWrongPassword(db, person?.id ?? null, guess, origin, isRight ? 'login_deactivated' : 'login_failed')
  return null
}

/** Runs work that is needed for the check. If it fails, the fault is ours, and the guess is given back. */
async function orGivenBack<T> ({ db }: LoginDeps, guess: Guess, shared: ConsumedGuess['shared'], work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    // Without PostgreSQL the guess stays consumed: one attempt at most.
    await unspendGuess(db, guess, shared).catch(() => {})
    throw error
  }
}
