/** What a call does to one object. `read` is a reading of the decided value, in PostgreSQL, by the test itself. */
export type Kind = 'code' | 'step' | 'challenge' | 'recovery' | 'reset' | 'setup' | 'refresh' | 'generation' | 'guard' | 'end'

/** `maybe`: the answer was lost, or was a 5xx. The call may have happened, at any time from its invocation until the end, or not. */
export type Result = 'ok' | 'refused' | 'maybe'

/**
 * One line of a history. Times are milliseconds of the test's own monotonic clock, taken before the request is sent and after its answer
 * was read. A request that changes several objects has a line for each, with the same `request`.
 */
export interface Call {
  id: number
  request: number
  kind: Kind
  /** Device, challenge, code, token or session. */
  key: string
  /** Replica that got the request; the database's name for a reading. */
  at: string
  /** Step of a code, or generation of a refresh token. */
  given?: number
  /** Generation of the token in the answer, or the value that was read. */
  value?: number
  /** Error code of a refusal. */
  code?: string
  invokedMs: number
  /** Null if there was no answer. */
  answeredMs: number | null
  result: Result
}

const UNITS = 1
const round = (ms: number) => Number(ms.toFixed(UNITS))

/** One call in a line for people: time, replica, object, result. */
export function lineOf ({ request, kind, key, at, given, value, code, invokedMs, answeredMs, result }: Call): string {
  const times = `${round(invokedMs)} to ${answeredMs === null ? '?' : round(answeredMs)} ms`
  const what = [kind, ...(given === undefined ? [] : [given]), ...(value === undefined ? [] : [`-> ${value}`])].join(' ')
  return `request ${request} at ${at}, ${times}: ${what} of ${key}: ${code ?? result}`
}
