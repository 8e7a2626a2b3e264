/** Replies that mean "this server can do nothing for you now"; others (OOM, MISCONF, NOPERM …) concern the one command. */
const NOT_NOW: ReadonlySet<string> = new Set(['LOADING', 'READONLY', 'CLUSTERDOWN', 'MASTERDOWN', 'BUSY', 'NOAUTH'])

/** What JavaScript itself throws: a mistake in the code of a command, not a fault of Redis. */
const MISTAKES = [TypeError, ReferenceError, RangeError, SyntaxError]

/** The first word of an error reply, such as `OOM`; undefined if the error is not the server's. */
export function replyCode (error: unknown): string | undefined {
  if (!(error instanceof Error) || error.name !== 'ReplyError') return undefined
  return error.message.split(' ', 1)[0]
}

export function isMistake (error: unknown): boolean {
  return MISTAKES.some((kind) => error instanceof kind)
}

/** In a cluster a lost connection is one node's: only the replies count there, and time-outs. */
export function opensBreaker (error: unknown, isCluster: boolean): boolean {
  const code = replyCode(error)
  return code === undefined ? !isCluster : NOT_NOW.has(code)
}

/**
 * What may be logged of an error. Never the error itself: ioredis puts the command on it with its arguments,
 * the password of AUTH among them; and Redis repeats the arguments of a command it does not know.
 */
export function plainMessage (error: unknown): string {
  return error instanceof Error ? error.message.split(', with args')[0] ?? '' : 'not an error'
}
