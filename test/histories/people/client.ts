import type { Random } from '../random.js'
import type { Answer } from '../recorder.js'
import type { Replica } from '../stage/stage.js'

export interface Given { body?: object, access?: string }

/** Sends requests and takes the times of the calls. Thousandths of a second are enough, by one clock for all. */
export interface Client {
  readonly requests: number
  ask (replica: Replica, method: string, path: string, given?: Given): Promise<Answer>
  /** A replica of the service, or the host. */
  anyOf (isHost: boolean): Replica
  /** `count` replicas of the service in turn, or the host as many times. */
  several (isHost: boolean, count: number): Replica[]
}

/** Longer than any answer takes that is not lost. */
const GIVE_UP_MS = 12_000

export function createClient (replicas: readonly Replica[], random: Random): Client {
  let requests = 0
  const those = (isHost: boolean) => replicas.filter(({ door }) => door.isHost === isHost)

  return {
    get requests () { return requests },
    anyOf: (isHost) => random.pick(those(isHost)),
    several (isHost, count) {
      const all = those(isHost)
      const first = random.between(0, all.length - 1)
      return Array.from({ length: count }, (_, n) => all[(first + n) % all.length]!)
    },

    async ask ({ name, base, door }, method, path, { body, access } = {}) {
      const request = ++requests
      const invokedMs = performance.now()
      const answer: Answer = { request, at: name, status: 0, code: '', body: {}, invokedMs, answeredMs: null }
      try {
        const response = await fetch(base + door.path(path), {
          method,
          signal: AbortSignal.timeout(GIVE_UP_MS),
          headers: {
            ...(access === undefined ? {} : door.headers(access)), ...(body === undefined ? {} : { 'content-type': 'application/json' })
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) })
        })
        const text = await response.text()
        const read = text === '' ? {} : JSON.parse(text) as Record<string, unknown>
        Object.assign(answer, {
          status: response.status, body: read, code: response.ok ? '' : String(read['code']), answeredMs: performance.now()
        })
      } catch {
        // No answer: the call may have happened.
      }
      return answer
    }
  }
}
