import { call } from '../helpers/http-client.js'
import { pass } from './scenario.js'

export interface Answer { status: number, body: Record<string, unknown> }
interface Given { body?: object, access?: string }

/** Asks replicas in turn, as a client of several would. */
export interface Client {
  /** Once. Status 0: no answer. */
  ask (method: string, path: string, given?: Given): Promise<Answer>
  /** Until there is an answer, and it is one of these. @throws Abandoned when nobody waits for it any more */
  must (statuses: number[], method: string, path: string, given?: Given): Promise<Answer>
}

/** Nobody waits for its answers any more. */
export class Abandoned extends Error {}

/** Between two requests of one: most of the work is hashing, and others want to do some too. */
const PAUSE_MS = 10

/** @param report told how long each answer took */
export function createClient (bases: string[], report: (ms: number) => void, stopping: AbortSignal): Client {
  let asked = 0

  const client: Client = {
    async ask (method, path, given = {}) {
      await pass(PAUSE_MS)
      const beganAtMs = performance.now()
      try {
        const { status, text } = await call(bases[asked++ % bases.length]!, method, path, given)
        report(performance.now() - beganAtMs)
        return { status, body: text === '' ? {} : JSON.parse(text) as Record<string, unknown> }
      } catch {
        return { status: 0, body: {} }
      }
    },

    async must (statuses, method, path, given = {}) {
      for (;;) {
        const answer = await client.ask(method, path, given)
        if (statuses.includes(answer.status)) return answer
        if (answer.status !== 0 && answer.status !== 503) throw new Error(`${path}: ${answer.status} ${String(answer.body['code'])}`)
        if (stopping.aborted) throw new Abandoned()
      }
    }
  }
  return client
}
