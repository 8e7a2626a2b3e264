import { once } from 'node:events'
import { connect } from 'node:net'

export interface RawAnswer {
  /** 0 if the connection was closed without an answer. */
  statusCode: number
  headers: Record<string, string>
  body: string
  /** From the first sent byte to the end of the connection. */
  elapsedMs: number
}

export interface Conversation {
  /** Sent repeatedly until the server closes the connection. */
  drip?: string
  dripMs?: number
}

/**
 * Sends raw bytes on a new connection, and returns the answer when the server closes it. Send `Connection: close` if the server
 * has no other reason to close.
 */
export async function rawRequest (port: number, bytes: string | Buffer, { drip, dripMs = 100 }: Conversation = {}): Promise<RawAnswer> {
  const startedAtMs = performance.now()
  const socket = connect(port, '127.0.0.1')
  const received: Buffer[] = []
  // A server that refuses early resets the connection; the answer before that counts.
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
