import http, { type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import https from 'node:https'

export interface Asked {
  headers: Record<string, string>
  /** Time from the call to the head of the answer. */
  timeoutMs: number
  signal?: AbortSignal
}

export interface Answered { status: number, headers: IncomingHttpHeaders, text: string }

/** Connections to one service, kept alive. */
export interface Http {
  /** Resolves with the head of an answer; its body is read by the caller. @throws if there is none in time */
  open (path: string, asked: Asked): Promise<IncomingMessage>
  /** The same, with the whole body, within the same time. */
  get (path: string, asked: Omit<Asked, 'signal'>): Promise<Answered>
  close (): void
}

/** Longest body of an answer that is read as a whole. */
const MOST_BYTES = 262_144

/** Errors of a connection that its other end closed: EPIPE if this process had not read of that yet when it wrote. */
const CLOSED = ['ECONNRESET', 'EPIPE']

/** True for a kept connection that the service closed at the moment of the request: it was not read, and can be sent again. */
function wasClosed ({ reusedSocket }: ClientRequest, { code = '' }: NodeJS.ErrnoException): boolean {
  return reusedSocket && CLOSED.includes(code)
}

/** By Node's own client: frameworks replace `fetch` with one that caches. */
export function createHttp (url: string): Http {
  const base = url.replace(/\/+$/, '')
  const { request, Agent } = base.startsWith('https:') ? https : http
  const agent = new Agent({ keepAlive: true })

  function open (path: string, { headers, timeoutMs, signal }: Asked): Promise<IncomingMessage> {
    const endAtMs = performance.now() + timeoutMs
    return new Promise((resolve, reject) => {
      function send (): void {
        const sent = request(base + path, { agent, headers, ...(signal === undefined ? {} : { signal }) })
        const giveUp = (): void => { sent.destroy(new Error(`${base} did not answer within ${timeoutMs} ms`)) }
        const timer = setTimeout(giveUp, endAtMs - performance.now())
        /** True after an answer or an error. */
        let isSettled = false
        sent.once('response', (answer) => {
          clearTimeout(timer)
          isSettled = true
          resolve(answer)
        })
        sent.on('error', (error) => {
          clearTimeout(timer)
          // Each try uses up one kept connection, so the last one is new.
          if (!isSettled && wasClosed(sent, error)) send()
          else reject(error)
          isSettled = true
        })
        // Node closes a connection with an answer that switches protocols, without either of them.
        sent.once('close', () => {
          clearTimeout(timer)
          if (!isSettled) reject(new Error(`${base} switched protocols`))
        })
        sent.end()
      }
      send()
    })
  }

  return {
    open,
    async get (path, asked) {
      const answer = await open(path, { ...asked, signal: AbortSignal.timeout(asked.timeoutMs) })
      const chunks: Buffer[] = []
      let bytes = 0
      for await (const chunk of answer) {
        bytes += (chunk as Buffer).length
        if (bytes > MOST_BYTES) throw new Error(`The answer of ${base} is too long`)
        chunks.push(chunk as Buffer)
      }
      return { status: answer.statusCode ?? 0, headers: answer.headers, text: Buffer.concat(chunks).toString() }
    },
    close: () => { agent.destroy() }
  }
}
