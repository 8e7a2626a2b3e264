import { call } from '../helpers/http-client.js'
import { pass } from './scenario.js'

export interface Answer { status: number, body: Record<string, unknown> }
interface Given { body?: object, access?: string }

/** Sends requests to the replicas in turn, like a client of several replicas. */
export interface Client {
  /** Sends one request. Status 0: no answer. */
  ask (method: string, path: string, given?: Given): Promise<Answer>
  /** Repeats the request until it gets an answer with one of the statuses. @throws Abandoned after the client was stopped */
  must (statuses: number[], method: string, path: string, given?: Given): Promise<Answer>
}

/** The client was stopped, and no caller waits for its answers. */
export class Abandoned extends Error {}

/** Pause between two requests of one client: most of the work is hashing, and other clients need CPU too. */
const PAUSE_MS = 10

/** @param report gets the duration of each answer */
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
