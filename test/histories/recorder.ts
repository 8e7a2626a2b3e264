import { appendFileSync } from 'node:fs'
import type { Call, Kind, Result } from './history.js'

/** Answer of a replica, with the times of the call. */
export interface Answer {
  request: number
  /** Name of the replica. */
  at: string
  /** 0 without an answer. */
  status: number
  /** Error code; empty without one. */
  code: string
  body: Record<string, unknown>
  invokedMs: number
  answeredMs: number | null
}

/** The history of a run, in memory, and as JSON lines in a file if there is one. */
export interface Recorder {
  readonly history: Call[]
  readonly counts: Record<Result, number>
  add (kind: Kind, key: string, answer: Answer, more?: Pick<Call, 'given' | 'value'>): Result
}

/** After a 5xx the service itself does not know: its own statement may be committed, or still on its way. */
export const resultOf = ({ status }: Pick<Answer, 'status'>): Result =>
  status === 0 || status >= 500 ? 'maybe' : status < 300 ? 'ok' : 'refused'

export function createRecorder (file?: string): Recorder {
  const history: Call[] = []
  const counts: Record<Result, number> = { ok: 0, refused: 0, maybe: 0 }
  return {
    history,
    counts,
    add (kind, key, answer, more = {}) {
      const { request, at, code, invokedMs, answeredMs } = answer
      const result = resultOf(answer)
      const call: Call = {
        id: history.length, request, kind, key, at, ...more, ...(code === '' ? {} : { code }), invokedMs, answeredMs, result
      }
      if (result === 'maybe') call.answeredMs = null
      counts[result]++
      history.push(call)
      if (file !== undefined) appendFileSync(file, JSON.stringify(call) + '\n')
      return result
    }
  }
}
