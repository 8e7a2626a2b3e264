import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export interface Received { headers: IncomingHttpHeaders, body: string, path: string }

export interface Receiver {
  url: string
  received: Received[]
  /** Answers the next requests. @default 204 */
  answer: (response: ServerResponse, request: Received) => void
  stop (): Promise<void>
}

/** Starts a webhook receiver on this machine. */
export async function receiver (t: Pick<Test, 'teardown'>, port = 0): Promise<Receiver> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const one = { headers: request.headers, body: Buffer.concat(chunks).toString(), path: request.url ?? '' }
      self.received.push(one)
      self.answer(response, one)
    })
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const self: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received: [],
    answer: (response) => { response.writeHead(204).end() },
    async stop () {
      if (!server.listening) return
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    }
  }
  t.teardown(() => self.stop())
  return self
}
