/*
 * Every time limit of the program, in milliseconds, from the outermost to the innermost. A limit is shorter than the one around
 * it, so that the inner operation fails first and the client gets its own error.
 */

/** A request, its arrival and its answer included. Node checks its sockets at the second interval. */
export const REQUEST_MS = 9_000
export const REQUEST_CHECK_MS = 1_000
/** The process, from the signal to its end: longer than a request, so that running requests are answered. */
export const DRAIN_MS = 10_000
/** Time for which a process that ends still serves: a proxy uses its kept connections within that time, and so closes them. */
export const LEAVING_MS = 3_000

/** A password in the queue of the hasher. */
export const HASH_QUEUE_MS = 5_000
/** A delivery to the webhook, from the look-up of the name to the end of the answer. */
export const WEBHOOK_MS = 5_000

/** A mail, from the connection to the server's answer: shorter than the claim on its delivery. */
export const MAIL_MS = 20_000
/** Each step of it: the look-up, the connection, the greeting, a silence of the server. */
export const MAIL_CONNECT_MS = 10_000

/** A statement of PostgreSQL, the wait for a connection included: 503 comes within 1.5 s. */
export const STATEMENT_MS = 1_400
/** The same at the server, a little earlier, so that no abandoned statement waits for a lock. */
export const SERVER_STATEMENT_MS = 1_300
/** A transaction between two statements: a frozen process or a lost network must not keep the lock on a user. */
export const IDLE_IN_TRANSACTION_MS = 2_000
/** A new connection to PostgreSQL while a request waits. */
export const CONNECT_MS = 1_000
/** A new connection for a command: a person waits, and a slow line or a busy machine must not make the command fail. */
export const COMMAND_CONNECT_MS = 10_000
/** The answer of a service that has the embedded database and may be busy, to a command that connects to it. */
export const GREETING_MS = 5_000
/** A statement or transaction of a command in the embedded database of a running service, whose requests wait meanwhile. */
export const COMMAND_TURN_MS = 5_000
/** A pooled connection without a statement is closed after this time. */
export const IDLE_CONNECTION_MS = 30_000

/** A command of Redis. No request waits longer for Redis. */
export const REDIS_COMMAND_MS = 250
/** A connection of Redis without an answer is closed: half-open TCP would keep it for a quarter of an hour. */
export const REDIS_SOCKET_MS = 500
export const REDIS_CONNECT_MS = 1_000
/** Longest wait of a start for Redis. */
export const REDIS_START_MS = 500
