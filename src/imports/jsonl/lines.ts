/** Longest line. A longer one is refused by its number, and is not kept in memory. */
export const MOST_LINE_BYTES = 1024 * 1024

const [NEWLINE, RETURN] = [10, 13]

/** Line without its end; null if it is longer than `MOST_LINE_BYTES`. */
export interface Line { number: number, bytes: Buffer | null, endsAt: number }

/** Splits chunks at line feeds. Keeps at most one line and one chunk. A last line without a line feed counts. */
export async function * linesOf (chunks: AsyncIterable<Buffer>): AsyncGenerator<Line> {
  let parts: Buffer[] = []
  let [length, number, offset] = [0, 0, 0]

  function keep (part: Buffer): void {
    length += part.length
    if (length > MOST_LINE_BYTES + 1) parts = []
    else parts.push(part)
  }
  function take (): Line {
    const bytes = length > MOST_LINE_BYTES + 1 ? null : Buffer.concat(parts)
    const line = bytes?.at(-1) === RETURN ? bytes.subarray(0, -1) : bytes
    ;[parts, length] = [[], 0]
    return { number: ++number, bytes: line !== null && line.length <= MOST_LINE_BYTES ? line : null, endsAt: offset }
  }

  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      keep(chunk.subarray(start, end))
      offset += end + 1 - start
      start = end + 1
      yield take()
    }
    const rest = chunk.subarray(start)
    offset += rest.length
    // A copy: a view would keep the whole chunk.
    if (rest.length > 0) keep(Buffer.from(rest))
  }
  if (length > 0) yield take()
}
