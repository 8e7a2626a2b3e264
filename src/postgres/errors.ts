import { Refusal } from '../core/refusals.js'

/** SQLSTATE classes and states of temporary faults, never of a wrong statement. */
const UNAVAILABLE_STATES = [
  /^08/, // connection exceptions
  /^28/, // the user or the password is refused: perhaps it is being changed
  /^53/, // out of connections, memory, disk
  /^57/, // shutting down, starting up, cancelled by a timeout
  /^25006$/, // read-only: during a failover, this server is no longer the primary
  /^25P0[34]$/, // a transaction that idled or ran too long, on a busy machine
  /^55P03$/, // lock not available in time
  /^40/, // serialization failure or deadlock after all retries
  /^42P01$/, // no tables yet: the first migration has not run
  /^3D000$/ // no database yet
]

/** Messages of pg, its pool and sockets, which have no SQLSTATE. */
const UNAVAILABLE_TEXTS = new RegExp([
  'timeout', 'timed out', 'Connection terminated', 'connection error', 'not queryable', 'ECONN', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN',
  'EHOSTUNREACH', 'pool after calling end', 'PGlite is clos'
].join('|'), 'i')

/** read_only_sql_transaction: a write on a standby, or where `default_transaction_read_only` is on. */
export const READ_ONLY_STATE = '25006'

const RETRIED_STATES = /^(40001|40P01)$/

/**
 * SQLSTATE classes of a prepared statement that was prepared on another connection or for other column types: no such name, the
 * name is taken, another result type, another parameter type. The statement did nothing. It may also fail so by its own fault.
 */
const OF_A_NAME = /^(26|42|0A|22)/

interface PgError { code?: unknown, message?: unknown }

/** Returns the SQLSTATE of an error. Every state has a digit; EPIPE, also five letters, is not a state. */
function sqlState (error: unknown): string | null {
  const code = (error as PgError | null)?.code
  return typeof code === 'string' && /^(?=.*[0-9])[0-9A-Z]{5}$/.test(code) ? code : null
}

/** True if a failed statement that was prepared by name may succeed without a name. It did nothing. */
export function mayBeOfItsName (error: unknown): boolean {
  return OF_A_NAME.test(sqlState(error) ?? '')
}

/** True after a conflict with another transaction: the same transaction may succeed if it is repeated as a whole. */
export function isRetriable (error: unknown): boolean {
  return RETRIED_STATES.test(sqlState(error) ?? '')
}

export function isUnavailable (error: unknown): boolean {
  const state = sqlState(error)
  if (state !== null) return UNAVAILABLE_STATES.some((pattern) => pattern.test(state))
  const { code, message } = (error ?? {}) as PgError
  return UNAVAILABLE_TEXTS.test(`${String(code)} ${String(message)}`)
}

/** True if the connection must not be used again: a statement may still run on it, or its server takes no writes. */
export function breaksConnection (error: unknown): boolean {
  const state = sqlState(error)
  return state === null || state === READ_ONLY_STATE || /^(08|57P|25P0[34])/.test(state)
}

/** True if a write reached a server that takes no writes: a standby, or a demoted primary. */
export function isReadOnly (error: unknown): boolean {
  return sqlState(error instanceof Refusal ? error.cause : error) === READ_ONLY_STATE
}

/** True if PostgreSQL itself does not answer, so that the next statement would fail too; false if one statement was late. */
export function isOutage (error: unknown): boolean {
  return error instanceof Refusal && error.code === 'UNAVAILABLE' && error.cause !== undefined && breaksConnection(error.cause)
}

/** Turns a fault of the infrastructure into the refusal UNAVAILABLE, without internal details; `cause` is for the log. */
export function asRefusal (error: unknown): unknown {
  return isUnavailable(error) ? new Refusal('UNAVAILABLE', { retryAfterSeconds: 1 }, { cause: error }) : error
}

/** Turns any failure to connect into UNAVAILABLE: no TLS, another certificate, no such host. */
export function asUnreachable (error: unknown): Refusal {
  return error instanceof Refusal ? error : new Refusal('UNAVAILABLE', { retryAfterSeconds: 1 }, { cause: error })
}

/** True if PostgreSQL refused a value of the statement: data exceptions and violated constraints. */
export function isOfItsValues (error: unknown): boolean {
  return /^2[23]/.test(sqlState(error) ?? '')
}

/** True if another row has the same unique key. */
export function isUniqueViolation (error: unknown): boolean {
  return sqlState(error) === '23505'
}

/** Returns an error with the SQLSTATE of a refused write. */
export const readOnlyError = (): Error => Object.assign(
  new Error('PostgreSQL is read-only here (a standby, or default_transaction_read_only is on): the address must lead to the primary'),
  { code: READ_ONLY_STATE })
