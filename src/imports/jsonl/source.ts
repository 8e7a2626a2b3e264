import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { PAGE_BYTES, PAGE_USERS, SourceError, type Entry, type Page, type Source } from '../person.js'
import { linesOf, type Line } from './lines.js'
import { FORMAT, looksLikeHeader, readHeader, readPerson, VERSION } from './record.js'
import { openLines, verifySealed } from './sealed.js'

/**
 * Opens a file of JSON lines.
 *
 * @param file path, or `-` for standard input
 * @param key opens a file that was sealed under it
 * @throws {SourceError} if it cannot be read
 */
export async function openJsonl (file: string, key: Buffer | null, stdin: AsyncIterable<Buffer>): Promise<Source> {
  const total = file === '-' ? 0 : (await stat(file).catch((error: unknown) => { throw unreadable(error) })).size
  if (key !== null) {
    if (file === '-') {
      throw new SourceError('A sealed file cannot come by standard input: it is read twice, and verified before it is imported.')
    }
    // The whole file is verified first: of a file that was cut or changed, nothing is imported.
    await verifySealed(linesOf(chunksOf(file)), key)
  }
  return {
    name: 'jsonl',
    async * pages () {
      const lines = linesOf(file === '-' ? stdin : chunksOf(file))
      for await (const page of pagesOf(key === null ? lines : openLines(lines, key), key !== null)) yield { ...page, total }
    },
    close: async () => {}
  }
}

async function * chunksOf (file: string): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of createReadStream(file)) yield chunk as Buffer
  } catch (error) {
    throw unreadable(error)
  }
}

/** The message of the system quotes the path, which the operator gave. */
const unreadable = (error: unknown) =>
  new SourceError(`The file cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown fault'}`)

async function * pagesOf (lines: AsyncIterable<Line>, isOpen: boolean): AsyncGenerator<Omit<Page, 'total'>> {
  let [entries, bytes, done, isFirst] = [[] as Entry[], 0, 0, true]
  const seen = new Map<string, number>()
  for await (const line of lines) {
    done = line.endsAt
    const entry = await entryOf(line, isFirst, isOpen, seen)
    if (entry === 'blank') continue
    isFirst = false
    if (entry === 'header') continue
    bytes += line.bytes?.length ?? 0
    entries.push(entry)
    if (entries.length < PAGE_USERS && bytes < PAGE_BYTES) continue
    yield { entries, done }
    ;[entries, bytes] = [[], 0]
  }
  yield { entries, done }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

async function entryOf (
  { number, bytes }: Line, isFirst: boolean, isOpen: boolean, seen: Map<string, number>
): Promise<Entry | 'header' | 'blank'> {
  const note = (reason: string, username = ''): Entry =>
    ({ note: { kind: 'user', externalId: null, line: number, username, reason } })
  if (bytes === null) return note('the line is longer than 1 MiB')
  let value: unknown
  try {
    const text = utf8.decode(bytes)
    if (text.trim() === '') return 'blank'
    value = JSON.parse(text)
  } catch {
    return note('the line is not JSON in UTF-8')
  }
  if (looksLikeHeader(value)) {
    const header = isFirst ? readHeader(value) : null
    if (!isFirst) return note('a header stands in the first line only')
    if (header === null) throw new SourceError(`The file is not of the format "${FORMAT}", version ${VERSION}.`)
    if (header.sealed !== undefined && !isOpen) throw new SourceError('The file is sealed: give its --key-file.')
    return 'header'
  }
  const person = await readPerson(value, number)
  if ('fault' in person) return note(person.fault, person.username)
  const first = seen.get(person.externalId)
  if (first !== undefined) return note(`the same user as in line ${first}`, person.username || person.email)
  seen.set(person.externalId, number)
  return { person }
}
