import { Refusal } from '../core/refusals.js'

/** SQLSTATE classes and states that say "not now", never "this statement is wrong". */
const UNAVAILABLE_STATES = [
  /^08/, // connection exceptions
  /^28/, // the user or the password is refused: another one is being set, perhaps
  /^53/, // out of connections, memory, disk
  /^57/, // shutting down, starting up, cancelled by a timeout
  /^25006$/, // read-only: a failover is under way, this is not the primary any more
  /^55P03$/, // lock not available in time
  /^40/, // serialization failure or deadlock that outlived its retries
  /^42P01$/, // tables are not there yet: the first migration is still to come
  /^3D000$/ // the database is not there yet
]

/** What pg, its pool and sockets throw without a SQLSTATE. */
const UNAVAILABLE_TEXTS = /timeout|timed out|Connection terminated|connection error|not queryable|ECONN|EPIPE|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|pool after calling end|PGlite is clos/i

/** read_only_sql_transaction: a write on a standby, or where `default_transaction_read_only` is on. */
export const READ_ONLY_STATE = '25006'

const RETRIED_STATES = /^(40001|40P01)$/

/**
 * What a statement fails with, undone, that was prepared elsewhere or for columns of other types: no such name, one that
 * is taken, another result, another parameter. Each may be the statement's own fault as well.
 */
const OF_A_NAME = /^(26|42|0A|22)/

interface PgError { code?: unknown, message?: unknown }

/** Every state has a digit in it; EPIPE, five letters too, is none. */
function sqlState (error: unknown): string | null {
  const code = (error as PgError | null)?.code
  return typeof code === 'string' && /^(?=.*[0-9])[0-9A-Z]{5}$/.test(code) ? code : null
}

/** Whether a statement that was given by name may go without one. Nothing of it was done. */
export function mayBeOfItsName (error: unknown): boolean {
  return OF_A_NAME.test(sqlState(error) ?? '')
}

/** Lost to another transaction; the same statement may succeed when it is tried again as a whole. */
export function isRetriable (error: unknown): boolean {
  return RETRIED_STATES.test(sqlState(error) ?? '')
}

export function isUnavailable (error: unknown): boolean {
  const state = sqlState(error)
  if (state !== null) return UNAVAILABLE_STATES.some((pattern) => pattern.test(state))
  const { code, message } = (error ?? {}) as PgError
  return UNAVAILABLE_TEXTS.test(`${String(code)} ${String(message)}`)
}

/** True if the connection must not be used again: a statement may still be running on it, or it leads to a server without writes. */
export function breaksConnection (error: unknown): boolean {
  const state = sqlState(error)
  return state === null || state === READ_ONLY_STATE || /^(08|57P)/.test(state)
}

/** A write reached a server that takes none: a standby, or a demoted primary. */
export function isReadOnly (error: unknown): boolean {
  return sqlState(error instanceof Refusal ? error.cause : error) === READ_ONLY_STATE
}

/** Postgres itself is away, rather than one statement late: what the next one would find too. */
export function isOutage (error: unknown): boolean {
  return error instanceof Refusal && error.code === 'UNAVAILABLE' && error.cause !== undefined && breaksConnection(error.cause)
}

/** A fault of the infrastructure becomes one refusal, whose text says nothing of the inside; `cause` is for the log. */
export function asRefusal (error: unknown): unknown {
  return isUnavailable(error) ? new Refusal('UNAVAILABLE', { retryAfterSeconds: 1 }, { cause: error }) : error
}

/** The same for a connection that could not be made, for any reason: no TLS, another certificate, no such host. */
export function asUnreachable (error: unknown): Refusal {
  return error instanceof Refusal ? error : new Refusal('UNAVAILABLE', { retryAfterSeconds: 1 }, { cause: error })
}

/** A statement was refused for one of the values in it: data exceptions and violated constraints. */
export function isOfItsValues (error: unknown): boolean {
  return /^2[23]/.test(sqlState(error) ?? '')
}

/** Two rows wanted one unique key. */
export function isUniqueViolation (error: unknown): boolean {
  return sqlState(error) === '23505'
}

/** As PostgreSQL itself says it when it is written to. */
export const readOnlyError = (): Error => Object.assign(
  new Error('PostgreSQL is read-only here (a standby, or default_transaction_read_only is on): the address must lead to the primary'),
  { code: READ_ONLY_STATE })
