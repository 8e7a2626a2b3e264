import { Agent, request } from 'node:http'

export interface Answer {
  /** 0 means no answer. */
  status: number
  text: string
  /** Includes the wait for a socket. */
  ms: number
}

export interface Client {
  ask (method: 'GET' | 'POST', path: string, given?: { body?: object, access?: string }): Promise<Answer>
  /** Open connections, in use or idle. */
  sockets (): number
  close (): void
}

/** Longer than any time limit of the service. */
const GIVE_UP_MS = 12_000
/** Shorter than the service's keep-alive limit, so that the service never closes a connection that is just being used. */
const IDLE_MS = 20_000
const MOST_SOCKETS = 128

/** Returns a client with keep-alive connections to one address. It never throws: a missing answer is a result too. */
export function connectTo (base: string): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: MOST_SOCKETS, maxFreeSockets: MOST_SOCKETS, timeout: IDLE_MS })
  return {
    ask (method, path, { body, access } = {}) {
      const beganAtMs = performance.now()
      return new Promise((resolve) => {
        const done = (status: number, text: string) => resolve({ status, text, ms: performance.now() - beganAtMs })
        const asked = request(base + path, {
          agent,
          method,
          timeout: GIVE_UP_MS,
          headers: {
            ...(access === undefined ? {} : { authorization: `Bearer ${access}` }),
            ...(body === undefined ? {} : { 'content-type': 'application/json' })
          }
        }, (answer) => {
          let text = ''
          answer.setEncoding('utf8')
            .on('data', (part: string) => { text += part })
            .on('end', () => done(answer.statusCode ?? 0, text))
            .on('error', (error: Error) => done(0, error.message))
        })
        asked.on('timeout', () => asked.destroy(new Error('gave up'))).on('error', (error: Error) => done(0, error.message))
        asked.end(body === undefined ? undefined : JSON.stringify(body))
      })
    },
    sockets: () => [agent.sockets, agent.freeSockets].flatMap(Object.values).flat().length,
    close: () => agent.destroy()
  }
}
