import { randomBytes } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createBrotliDecompress } from 'node:zlib'

/** Name of the archive that scripts/embedded-template.js writes beside the compiled code. */
const TEMPLATE = 'embedded-postgres.tar.br'
/** Folders from this module up to the compiler's output, at most. */
const MOST_LEVELS = 4

const BLOCK_BYTES = 512
/** Type of an entry that is a folder: the digit 5. */
const FOLDER = 0x35
const VERSION_FILE = 'PG_VERSION'
/** PostgreSQL's `ControlFileData` begins with the system identifier. */
const CONTROL_FILE = 'global/pg_control'
const IDENTIFIER_BYTES = 8
/** Random value from which the server makes the salts of users that do not exist. It stands before the checksum, the last value. */
const NONCE_BYTES = 32
/** A long page header of the write-ahead log has the system identifier behind the 24 bytes of the short one (`xlp_sysid`). */
const LOG_FILE = /^pg_wal\/[0-9A-F]{24}$/
const LOG_IDENTIFIER_AT = 24

/**
 * Writes the files of a new database into an empty folder, if there is a template. Without one, initdb makes them, in some 10 s
 * of CPU and 800 MiB. The random values that initdb makes are new in each folder.
 */
export async function unpackTemplate (folder: string): Promise<void> {
  const file = findTemplate()
  if (file === undefined) return
  let version: Buffer = Buffer.alloc(0)
  const identifier = randomBytes(IDENTIFIER_BYTES)
  // The identifier is a positive number of 64 bits.
  identifier[IDENTIFIER_BYTES - 1]! &= 0x7f
  for await (const { name, isFolder, content } of entriesOf(createReadStream(file).pipe(createBrotliDecompress()))) {
    if (name === CONTROL_FILE) {
      const checksumAt = findChecksum(content)
      identifier.copy(content)
      randomBytes(NONCE_BYTES).copy(content, checksumAt - NONCE_BYTES)
      content.writeUInt32LE(crc32c(content.subarray(0, checksumAt)), checksumAt)
    } else if (LOG_FILE.test(name)) identifier.copy(content, LOG_IDENTIFIER_AT)
    // PGlite takes a folder with this file for a whole database: it comes last.
    if (name === VERSION_FILE) version = content
    else if (isFolder) await mkdir(join(folder, name), { recursive: true, mode: 0o700 })
    else await writeFile(join(folder, name), content, { mode: 0o600 })
  }
  await writeFile(join(folder, VERSION_FILE), version, { mode: 0o600 })
}

function findTemplate (): string | undefined {
  let folder = import.meta.dirname
  for (let level = 0; level < MOST_LEVELS; level++, folder = dirname(folder)) {
    const file = join(folder, TEMPLATE)
    if (existsSync(file)) return file
  }
  return undefined
}

/** Reads the entries of a tar archive, one after the other: the whole archive would be another 39 MiB of memory. */
async function * entriesOf (archive: AsyncIterable<Buffer>): AsyncGenerator<{ name: string, isFolder: boolean, content: Buffer }> {
  const read = reader(archive)
  for (;;) {
    const header = await read(BLOCK_BYTES)
    const name = textOf(header.subarray(0, 100))
    if (name === '') return
    const bytes = Number.parseInt(textOf(header.subarray(124, 136)), 8) || 0
    const content = await read(Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES)
    yield { name: name.replace(/^\/+/, ''), isFolder: header[156] === FOLDER, content: content.subarray(0, bytes) }
  }
}

/** Returns a function that reads the next bytes of a stream; fewer at its end. */
function reader (stream: AsyncIterable<Buffer>): (bytes: number) => Promise<Buffer> {
  const chunks = stream[Symbol.asyncIterator]()
  let rest: Buffer = Buffer.alloc(0)
  return async (bytes) => {
    const parts = [rest]
    let length = rest.length
    while (length < bytes) {
      const { done, value } = await chunks.next()
      if (done === true) break
      parts.push(value)
      length += value.length
    }
    const all = Buffer.concat(parts)
    rest = all.subarray(bytes)
    return all.subarray(0, bytes)
  }
}

const textOf = (field: Buffer): string => field.toString('latin1').replace(/\0.*$/s, '').trim()

/**
 * Returns the offset of the checksum in a control file: the place whose number is the checksum of all bytes before it. Its
 * place depends on the release of PostgreSQL.
 *
 * @throws {Error} if there is none
 */
function findChecksum (control: Buffer): number {
  let state = 0xffffffff
  for (let at = 0; at + 4 <= control.length; at++) {
    if (at % 4 === 0 && at > IDENTIFIER_BYTES + NONCE_BYTES && control.readUInt32LE(at) === ((state ^ 0xffffffff) >>> 0)) return at
    state = step(state, control[at]!)
  }
  throw new Error('The control file of the embedded database has no checksum')
}

/** CRC-32C (Castagnoli), as PostgreSQL computes it. `node:zlib` has CRC-32 of another polynomial. */
function crc32c (bytes: Buffer): number {
  return (bytes.reduce(step, 0xffffffff) ^ 0xffffffff) >>> 0
}

function step (state: number, byte: number): number {
  state ^= byte
  for (let bit = 0; bit < 8; bit++) state = state & 1 ? (state >>> 1) ^ 0x82f63b78 : state >>> 1
  return state
}
