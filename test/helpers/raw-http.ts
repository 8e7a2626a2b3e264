import { once } from 'node:events'
import { connect } from 'node:net'

export interface RawAnswer {
  /** 0 where the connection was closed without a word. */
  statusCode: number
  headers: Record<string, string>
  body: string
  /** From the first byte sent to the end of the connection. */
  elapsedMs: number
}

export interface Conversation {
  /** Sent over and over until the other side has had enough. */
  drip?: string
  dripMs?: number
}

/**
 * Bytes as they are, on a connection of their own; what came back until the server closed it. Say `Connection: close`
 * where the server has no reason of its own.
 */
export async function rawRequest (port: number, bytes: string | Buffer, { drip, dripMs = 100 }: Conversation = {}): Promise<RawAnswer> {
  const startedAtMs = performance.now()
  const socket = connect(port, '127.0.0.1')
  const received: Buffer[] = []
  // A server that refuses early resets what still arrives: what it had said counts.
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => { received.push(chunk) })
  socket.write(bytes)
  const timer = drip === undefined ? undefined : setInterval(() => { if (socket.writable) socket.write(drip) }, dripMs)
  await once(socket, 'close')
  clearInterval(timer)

  const text = Buffer.concat(received).toString('latin1')
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const [line = '', ...lines] = head.split('\r\n')
  return {
    statusCode: Number(/^HTTP\/1\.[01] (\d{3})/.exec(line)?.[1] ?? 0),
    headers: Object.fromEntries(lines.map((header) => {
      const colon = header.indexOf(':')
      return [header.slice(0, colon).toLowerCase(), header.slice(colon + 1).trim()]
    })),
    body: rest.join('\r\n\r\n'),
    elapsedMs: performance.now() - startedAtMs
  }
}
