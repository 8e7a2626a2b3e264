import type { Socket } from 'node:net'
import { deserialize, serialize } from 'node:v8'

/** Number of bytes before each message, little-endian. */
const LENGTH_BYTES = 4

/** Sends a value over a socket. Dates, numbers, bigints and buffers keep their type. */
export function sendMessage (socket: Socket, message: unknown): void {
  const content = serialize(message)
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32LE(content.length)
  socket.write(Buffer.concat([length, content]))
}

/** Calls `receive` for each value that arrives. */
export function onMessage (socket: Socket, receive: (message: any) => void): void {
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes])
    while (rest.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + rest.readUInt32LE()
      if (rest.length < end) return
      const content = rest.subarray(LENGTH_BYTES, end)
      rest = rest.subarray(end)
      receive(deserialize(content))
    }
  })
}
