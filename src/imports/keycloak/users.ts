import { SourceError } from '../person.js'

const [QUOTE, BACKSLASH, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = [34, 92, 123, 125, 91, 93]

/** Longest user. A longer one is refused by its number, and is not kept in memory. */
const MOST_USER_BYTES = 1024 * 1024

/** One element of the list: its text, or null if it is too long. */
export interface UserText { number: number, bytes: Buffer | null, endsAt: number }

/**
 * Finds the elements of the list `users` at the top of a JSON document without holding the document: a realm of a hundred thousand
 * users has hundreds of megabytes. The elements are not parsed here, and of the rest of the document only its end is judged.
 *
 * @throws {SourceError} after the last whole element, if the document was cut
 */
export async function * usersOf (chunks: AsyncIterable<Buffer>): AsyncGenerator<UserText> {
  let [depth, offset, number, length] = [0, 0, 0, 0]
  let [isText, isEscaped, isList] = [false, false, false]
  let [name, key, parts] = ['', '', [] as Buffer[]]

  for await (const chunk of chunks) {
    let start = 0
    const keep = (end: number) => {
      length += end - start
      if (length > MOST_USER_BYTES) parts = []
      else parts.push(Buffer.from(chunk.subarray(start, end)))
    }
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!
      if (isText) {
        if (isEscaped) isEscaped = false
        else if (byte === BACKSLASH) isEscaped = true
        else if (byte === QUOTE) [isText, key] = [false, depth === 1 ? name : key]
        if (isText && depth === 1 && name.length < 64) name += String.fromCharCode(byte)
      } else if (byte === QUOTE) {
        [isText, name] = [true, '']
      } else if (byte === OPEN || byte === OPEN_LIST) {
        depth++
        if (depth === 2 && byte === OPEN_LIST) isList = key === 'users'
        if (depth === 3 && isList) [start, length, parts] = [i, 0, []]
      } else if (byte === CLOSE || byte === CLOSE_LIST) {
        depth--
        if (depth === 1) isList = false
        if (depth === 2 && isList) {
          keep(i + 1)
          yield { number: ++number, bytes: length > MOST_USER_BYTES ? null : Buffer.concat(parts), endsAt: offset + i + 1 }
        }
      }
    }
    if (depth > 2 && isList) keep(chunk.length)
    offset += chunk.length
  }
  if (depth > 0) throw new SourceError('The export was cut: it ends within its JSON. Export again; a second run brings the rest.')
}
