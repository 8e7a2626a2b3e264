import { Agent, request } from 'node:http'

export interface Answer {
  /** 0: no answer at all. */
  status: number
  text: string
  /** From the wish to ask, so that waiting for a socket counts. */
  ms: number
}

export interface Client {
  ask (method: 'GET' | 'POST', path: string, given?: { body?: object, access?: string }): Promise<Answer>
  /** Connections that are open now, in use or not. */
  sockets (): number
  close (): void
}

/** Longer than the service may take for anything. */
const GIVE_UP_MS = 12_000
/** Shorter than the service keeps an idle connection: it is never closed just as it is used. */
const IDLE_MS = 20_000
const MOST_SOCKETS = 128

/** Kept-alive connections to one address. Never throws: no answer is an answer too. */
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
          headers: { ...(access === undefined ? {} : { authorization: `Bearer ${access}` }), ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
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
