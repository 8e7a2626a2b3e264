import { Refusal } from '../core/refusals.js'

/**
 * Permanent fault of the database: waiting does not help. The message is one line for the operator, without addresses and
 * passwords.
 */
export class UnusableDatabaseError extends Error {
  override readonly name = 'UnusableDatabaseError'
}

interface PgError { code?: unknown, message?: unknown }

/** Error codes of Node and OpenSSL about a server's certificate. */
const CERTIFICATE = /^(ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(GET|VERIFY)_|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE))/

/** Permanent refusals of a connection, by SQLSTATE or by the message of pg. */
const refusedBy: ReadonlyArray<readonly [holds: (code: string, message: string) => boolean, line: string]> = [
  [(code) => code === '28P01', 'PostgreSQL refuses the user or the password of its address'],
  [(code) => code === '28000', 'PostgreSQL does not let this user or this machine in'],
  [(_code, message) => /^SASL: .*password/.test(message), 'PostgreSQL asks for a password, and its address has none'],
  [(code) => CERTIFICATE.test(code), 'The certificate of PostgreSQL is not accepted'],
  [(_code, message) => /does not support SSL/.test(message), 'PostgreSQL takes no TLS connections, and its address asks for one'],
  [(code) => code === '42501', 'The role of PostgreSQL\'s address lacks a right']
]

/** Returns an UnusableDatabaseError if the connection, its user or its rights are refused permanently; else the same error. */
export function asUnusable (error: unknown): unknown {
  const { code, message } = (error instanceof Refusal ? error.cause : error ?? {}) as PgError
  const line = refusedBy.find(([holds]) => holds(String(code), String(message)))?.[1]
  return line === undefined ? error : new UnusableDatabaseError(`${line}: ${String(message)}.`, { cause: error })
}

/** Returns the reason of an outage for one log line; all reasons, for several hosts or for a name with several addresses. */
export function reasonOf (error: unknown): string {
  const { message, errors, code, cause } = (error ?? {}) as PgError & { errors?: unknown[], cause?: unknown }
  if (error instanceof Refusal) return cause === undefined ? error.message : reasonOf(cause)
  if (Array.isArray(errors)) return [...new Set(errors.map(reasonOf))].join(', ')
  return String(message ?? '') || String(code ?? error)
}

/** What went wrong, for the operator of a command. A refusal's own text is for clients, and says nothing of the inside. */
export function lineOf (error: Error): string {
  return error instanceof Refusal && error.code === 'UNAVAILABLE' ? `The database cannot be used now: ${reasonOf(error)}.` : error.message
}
