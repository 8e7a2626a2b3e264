import type { FastifyRequest } from 'fastify'
import { Refusal } from '../core/refusals.js'
import type { ClientOrigin } from '../core/session.js'
import { consumeHostGuess, giveHostGuessBack, noteHostRefusal } from './password-budget.js'
import type { Db } from '../tables/db.js'
import type { RouteOptions } from './options/route-options.js'

/** Limit of a label in characters of its URI form: a longer label does not fit into a QR code. */
const MOST_ENCODED = 1_800

/** Status that a host chose for its error; NaN if it chose none. */
const statusOf = (error: unknown): number => {
  const { statusCode, status } = (error ?? {}) as { statusCode?: unknown, status?: unknown }
  return Number(statusCode ?? status)
}

/**
 * Returns the host's `label` function with a check that an authenticator app can show the label. It is called before
 * anything is stored or consumed.
 *
 * @param report receives the fault; the response does not mention it
 */
export function checkedLabel (label: RouteOptions['label'], report: (error: unknown) => void): (userId: string) => Promise<string> {
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
    if (!isLabel(answer)) {
      throw fault(new Error('countersign: label() must answer text that is not empty, 1,800 characters at most once it is percent-encoded'))
    }
    return answer
  }
}

function isLabel (value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '' && !/\p{Cs}/u.test(value) && encodeURIComponent(value).length <= MOST_ENCODED
}

type CheckPassword = NonNullable<RouteOptions['checkPassword']>

export interface BudgetDeps {
  db: Db
  originOf: (request: FastifyRequest) => ClientOrigin
  /** Session of the request. */
  sessionIdOf: (request: FastifyRequest) => string
}

/**
 * Wraps the host's `checkPassword` with the budget of guesses. One guess is consumed before the host is asked. It is given
 * back if the password is right, or if the host failed and did not judge it. The service's own function has its budget
 * inside.
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

/** Returns null if the password is right. A host that returns false has refused the password. */
async function judged (checkPassword: CheckPassword, given: Parameters<CheckPassword>): Promise<unknown> {
  try {
    return await checkPassword(...given) === false ? new Refusal('REAUTH_REQUIRED') : null
  } catch (error) {
    return error || new Refusal('REAUTH_REQUIRED')
  }
}

/** Recognises a fault of the host (by its status), of the program or of the system. Any other error means a wrong password. */
function isFault (error: unknown): boolean {
  const isBroken = error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError ||
    error instanceof SyntaxError
  return statusOf(error) >= 500 || isBroken || (typeof error === 'object' && error !== null && 'syscall' in error)
}
