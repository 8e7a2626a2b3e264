import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import type { Owner } from './teardown.js'

const SSL_REQUEST = 80877103

/** An answer to a statement: the text of one row's columns, or an error. */
export type FakeAnswer = Record<string, string> | { error: string, code: string }

const int32 = (value: number) => { const bytes = Buffer.alloc(4); bytes.writeInt32BE(value); return bytes }
const int16 = (value: number) => { const bytes = Buffer.alloc(2); bytes.writeInt16BE(value); return bytes }
const text = (value: string) => Buffer.from(`${value}\0`)
const message = (type: string, ...parts: Buffer[]) => {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body])
}
const READY = message('Z', Buffer.from('I'))

function answerOf (found: FakeAnswer): Buffer {
  if (isError(found)) return message('E', text('SERROR'), text('VERROR'), text(`C${found.code}`), text(`M${found.error}`), Buffer.from([0]))
  const names = Object.keys(found)
  const columns = names.map((name) => Buffer.concat([text(name), int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0)]))
  const values = Object.values(found).map((value) => Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)]))
  return Buffer.concat([
    message('T', int16(names.length), ...columns), message('D', int16(values.length), ...values), message('C', text('SELECT 1'))
  ])
}

const isError = (found: FakeAnswer): found is { error: string, code: string } => 'code' in found

/**
 * Starts a server that speaks PostgreSQL's protocol (simple statements, no password) and gives the test's answers.
 *
 * @param greet error with which it refuses the connection
 * @returns its address
 */
export async function fakePostgres (
  t: Owner, answer: (statement: string) => FakeAnswer, greet?: { error: string, code: string }
): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => { sockets.delete(socket) })
    let rest = Buffer.alloc(0)
    let isIn = false
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk])
      for (let length = lengthOf(rest, isIn); length > 0; length = lengthOf(rest, isIn)) {
        const whole = rest.subarray(0, length)
        rest = rest.subarray(length)
        if (!isIn) {
          if (whole.readInt32BE(4) === SSL_REQUEST) socket.write('N')
          else {
            isIn = true
            if (greet === undefined) socket.write(Buffer.concat([message('R', int32(0)), message('K', int32(7), int32(7)), READY]))
            else socket.end(answerOf(greet))
          }
        } else if (whole[0] === 0x51) socket.write(Buffer.concat([answerOf(answer(whole.subarray(5, -1).toString())), READY]))
        else if (whole[0] === 0x58) socket.end()
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `postgres://app:s3cret@127.0.0.1:${(server.address() as AddressInfo).port}/app`
}

/** Returns the length of the first message; 0 while it is incomplete. */
function lengthOf (bytes: Buffer, isIn: boolean): number {
  const header = isIn ? 1 : 0
  if (bytes.length < header + 4) return 0
  const length = header + bytes.readInt32BE(header)
  return bytes.length >= length ? length : 0
}
