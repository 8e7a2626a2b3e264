/** The part of an error that a log line contains. */
export interface LoggedError {
  type: string
  message: string
  stack: string
  code?: unknown
  cause?: LoggedError
  [more: string]: unknown
}

/**
 * Returns message, stack and causes of an error, without the properties that drivers add: PGlite adds every parameter of the
 * statement, pg the row that failed. Password hashes and sealed secrets are among them.
 */
export function describeError (error: unknown): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error), stack: '' }
  const { name, message, stack = '', cause } = error
  const { code } = error as { code?: unknown }
  return {
    type: name,
    message,
    stack,
    ...(code === undefined ? {} : { code }),
    ...(cause === undefined ? {} : { cause: describeError(cause) })
  }
}
