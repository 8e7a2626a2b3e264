/** Counts of frontend messages by their type byte; `startup` for the start-up packet, which has none. */
export type MessageCounts = Record<string, number>

const STARTUP_CODES: ReadonlySet<number> = new Set([196608, 80877102, 80877103, 80877104])
const ASKS_FOR_ENCRYPTION: ReadonlySet<number> = new Set([80877103, 80877104])

/**
 * Reads the messages from one client to Postgres (protocol 3, unencrypted) and counts them.
 * Ignores a connection that does not begin with a start-up packet.
 *
 * @returns a function for the chunks of bytes, which can be split anywhere
 */
export function messageCounter (counts: MessageCounts): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0)
  let stage: 'startup' | 'messages' | 'foreign' = 'startup'

  function count (kind: string): void {
    counts[kind] = (counts[kind] ?? 0) + 1
  }

  /** Removes one message from the front; returns false if it is incomplete. */
  function take (): boolean {
    const header = stage === 'startup' ? 0 : 1
    if (rest.length < header + (stage === 'startup' ? 8 : 4)) return false
    if (stage === 'startup' && !STARTUP_CODES.has(rest.readInt32BE(4))) {
      stage = 'foreign'
      return false
    }
    const length = header + rest.readInt32BE(header)
    if (rest.length < length) return false
    if (stage === 'messages') count(String.fromCharCode(rest[0] as number))
    else {
      count('startup')
      if (!ASKS_FOR_ENCRYPTION.has(rest.readInt32BE(4))) stage = 'messages'
    }
    rest = rest.subarray(length)
    return true
  }

  return (chunk) => {
    if (stage === 'foreign') return
    rest = Buffer.concat([rest, chunk])
    while (take());
  }
}
