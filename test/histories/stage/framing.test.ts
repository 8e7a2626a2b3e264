import t from 'tap'
import { createRandom } from '../random.js'
import * as framing from './framing.js'

const message = (kind: string, body: string): Buffer => {
  const head = Buffer.alloc(4)
  head.writeInt32BE(4 + body.length)
  return Buffer.concat([Buffer.from(kind), head, Buffer.from(body)])
}

/** Cuts bytes into chunks by chance. */
function chunksOf (bytes: Buffer, seed: number): Buffer[] {
  const random = createRandom(seed)
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const size = random.between(1, 9)
    chunks.push(bytes.subarray(at, at + size))
    at += size
  }
  return chunks
}

const SEEDS = [1, 2, 3, 4, 5]

t.test('a statement of PostgreSQL is a query, or the messages up to a Sync, wherever the bytes are split', async (t) => {
  const start = message('', 'user\0ada\0')
  const [query, prepared] = [message('Q', 'begin\0'), Buffer.concat(['P', 'B', 'D', 'E', 'S'].map((kind) => message(kind, 'x')))]
  const end = message('X', '')
  for (const seed of SEEDS) {
    const read = framing.postgres.requests()
    const units = chunksOf(Buffer.concat([start, query, prepared, end]), seed).flatMap(read)
    t.same(units, [
      { bytes: start, isStatement: false }, { bytes: query, isStatement: true }, { bytes: prepared, isStatement: true },
      { bytes: end, isStatement: false }
    ])
  }
})

t.test('an answer of PostgreSQL ends with ReadyForQuery', async (t) => {
  const answer = [message('1', ''), message('D', 'row'), message('Z', 'I')]
  for (const seed of SEEDS) {
    const read = framing.postgres.answers()
    t.same(chunksOf(Buffer.concat(answer), seed).flatMap(read).map(({ ends }) => ends), [0, 0, 1])
  }
})

t.test('a statement of Redis is a command', async (t) => {
  const commands = ['*1\r\n$4\r\nPING\r\n', '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n'].map((text) => Buffer.from(text))
  for (const seed of SEEDS) {
    const read = framing.redis.requests()
    t.same(chunksOf(Buffer.concat(commands), seed).flatMap(read), commands.map((bytes) => ({ bytes, isStatement: true })))
  }
})
