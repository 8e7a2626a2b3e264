import type { FastifyRequest } from 'fastify'
import { Refusal } from '../core/refusals.js'
import type { ClientOrigin } from '../core/session.js'
import { consumeHostGuess, giveHostGuessBack, noteHostRefusal } from './password-budget.js'
import type { Db } from '../tables/db.js'
import type { CheckedOptions } from './options.js'

/** Characters of a label as the URI has it: more do not fit into a QR code. */
const MOST_ENCODED = 1_800

/** Status that a host chose for its error; NaN if it chose none. */
const statusOf = (error: unknown): number => {
  const { statusCode, status } = (error ?? {}) as { statusCode?: unknown, status?: unknown }
  return Number(statusCode ?? status)
}

/**
 * The host's `label`, held against what an authenticator app can show. Asked before anything is stored or consumed.
 *
 * @param report gets the fault: clients are told nothing of it
 */
export function checkedLabel (label: CheckedOptions['label'], report: (error: unknown) => void): (userId: string) => Promise<string> {
  const fault = (error: unknown) => {
    report(error)
    return new Refusal('INTERNAL_ERROR', {}, { cause: error })
  }
  return async (userId) => {
    let answer: unknown
    try {
      answer = await label(userId)
    } catch (error) {
      throw statusOf(error) >= 400 ? error : fault(error)
    }
    if (!isLabel(answer)) throw fault(new Error('countersign: label() must answer text that is not empty, 1,800 characters at most once it is percent-encoded'))
    return answer
  }
}

function isLabel (value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '' && !/\p{Cs}/u.test(value) && encodeURIComponent(value).length <= MOST_ENCODED
}

type CheckPassword = NonNullable<CheckedOptions['checkPassword']>

export interface BudgetDeps {
  db: Db
  originOf: (request: FastifyRequest) => ClientOrigin
  /** The session that asks. */
  sessionIdOf: (request: FastifyRequest) => string
}

/**
 * The host's `checkPassword` behind the budget of guesses: one is consumed before the host is asked, and given back
 * if the password is right, or was not judged since the host failed. The service's own has its budget inside.
 */
export function checkedPassword (checkPassword: CheckPassword, { db, originOf, sessionIdOf }: BudgetDeps) {
  return async (request: FastifyRequest, userId: string, password: string): Promise<void> => {
    if (db.hasAccounts) {
      await checkPassword(request, userId, password)
      return
    }
    const origin = originOf(request)
    const waitSeconds = await consumeHostGuess(db, userId, origin.network)
    if (waitSeconds > 0) throw new Refusal('RATE_LIMITED', { retryAfterSeconds: waitSeconds })
    const refused = await judged(checkPassword, [request, userId, password])
    if (refused === null || isFault(refused)) await giveHostGuessBack(db, userId, origin.network, refused === null)
    else await noteHostRefusal(db, userId, sessionIdOf(request), origin)
    if (refused !== null) throw refused
  }
}

/** Null if the password is right. A host that answers false has said that it is wrong. */
async function judged (checkPassword: CheckPassword, given: Parameters<CheckPassword>): Promise<unknown> {
  try {
    return await checkPassword(...given) === false ? new Refusal('REAUTH_REQUIRED') : null
  } catch (error) {
    return error || new Refusal('REAUTH_REQUIRED')
  }
}

/** A fault of the host, by its status, or of the program or the system. Any other error says that the password is wrong. */
function isFault (error: unknown): boolean {
  const isBroken = error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError || error instanceof SyntaxError
  return statusOf(error) >= 500 || isBroken || (typeof error === 'object' && error !== null && 'syscall' in error)
}
