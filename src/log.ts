/** A line of a log has this of an error, and nothing else. */
export interface LoggedError {
  type: string
  message: string
  stack: string
  code?: unknown
  cause?: LoggedError
  [more: string]: unknown
}

/**
 * What happened and where, and none of what drivers hang on their errors: PGlite adds every parameter of the
 * statement, pg the row that failed. Password hashes and sealed secrets are among them.
 */
export function describeError (error: unknown): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error), stack: '' }
  const { name, message, stack = '', cause } = error
  const { code } = error as { code?: unknown }
  return { type: name, message, stack, ...(code === undefined ? {} : { code }), ...(cause === undefined ? {} : { cause: describeError(cause) }) }
}
