/** Replies of a server that can run no command now; others (OOM, MISCONF, NOPERM …) concern one command. */
const NOT_NOW: ReadonlySet<string> = new Set(['LOADING', 'READONLY', 'CLUSTERDOWN', 'MASTERDOWN', 'BUSY', 'NOAUTH'])

/** Errors of JavaScript itself: a mistake in the code of a command, not a fault of Redis. */
const MISTAKES = [TypeError, ReferenceError, RangeError, SyntaxError]

/** Returns the first word of an error reply, such as `OOM`; undefined if the error did not come from the server. */
export function replyCode (error: unknown): string | undefined {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return undefined
  return error.message.split(' ', 1)[0]
}

export function isMistake (error: unknown): boolean {
  return MISTAKES.some((kind) => error instanceof kind)
}

/** True if an error opens the breaker. In a cluster a lost connection concerns one node, so only replies and time-outs count. */
export function opensBreaker (error: unknown, isCluster: boolean): boolean {
  const code = replyCode(error)
  return code === undefined ? !isCluster : NOT_NOW.has(code)
}

/**
 * Returns the part of an error that may be logged. Never log the error itself: ioredis adds the command with its arguments,
 * such as the password of AUTH, and Redis repeats the arguments of an unknown command.
 */
export function plainMessage (error: unknown): string {
  return error instanceof Error ? error.message.split(', with args')[0] ?? '' : 'not an error'
}
