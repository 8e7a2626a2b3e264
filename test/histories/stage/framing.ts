/** Complete messages of one connection. A statement is the part of a client's bytes that its server answers as one. */
export interface Unit { bytes: Buffer, isStatement: boolean }

/** Reads a protocol's bytes, which can be split anywhere. */
export interface Framing {
  /** Reader of a client's bytes. */
  requests (): (chunk: Buffer) => Unit[]
  /** Reader of a server's bytes: chunks, each with the number of statements whose answers end in it. */
  answers (): (chunk: Buffer) => Array<{ bytes: Buffer, ends: number }>
}

/** Messages of PostgreSQL's protocol 3: a type, except at the start of a connection, a length, a body. */
function messages (hasStart: boolean): (chunk: Buffer) => Array<{ kind: string, bytes: Buffer }> {
  let rest: Buffer = Buffer.alloc(0)
  let isStarted = !hasStart
  return (chunk) => {
    rest = Buffer.concat([rest, chunk])
    const found: Array<{ kind: string, bytes: Buffer }> = []
    for (;;) {
      const header = isStarted ? 1 : 0
      if (rest.length < header + 4) return found
      const length = header + rest.readInt32BE(header)
      if (rest.length < length) return found
      const kind = isStarted ? String.fromCharCode(rest[0]!) : 'start'
      isStarted = true
      found.push({ kind, bytes: rest.subarray(0, length) })
      rest = rest.subarray(length)
    }
  }
}

/** Without TLS. A simple query, or the messages up to a Sync, are a statement; ReadyForQuery ends its answer. */
export const postgres: Framing = {
  requests () {
    const read = messages(true)
    let open: Buffer[] = []
    return (chunk) => read(chunk).flatMap(({ kind, bytes }) => {
      open.push(bytes)
      if ('PBDECF'.includes(kind)) return []
      const unit = { bytes: Buffer.concat(open), isStatement: kind === 'Q' || kind === 'S' }
      open = []
      return [unit]
    })
  },
  answers () {
    const read = messages(false)
    return (chunk) => read(chunk).map(({ kind, bytes }) => ({ bytes, ends: kind === 'Z' ? 1 : 0 }))
  }
}

/** Commands of a client of Redis: arrays of texts. Its answers have no frames here: each chunk ends one. */
export const redis: Framing = {
  requests () {
    let rest: Buffer = Buffer.alloc(0)
    return (chunk) => {
      rest = Buffer.concat([rest, chunk])
      const found: Unit[] = []
      for (let end = endOfCommand(rest); end !== null; end = endOfCommand(rest)) {
        found.push({ bytes: rest.subarray(0, end), isStatement: true })
        rest = rest.subarray(end)
      }
      return found
    }
  },
  answers: () => (chunk) => [{ bytes: chunk, ends: 1 }]
}

/** Returns the place after the first command; null if it is not complete. */
function endOfCommand (bytes: Buffer): number | null {
  let at = 0
  const number = (): number | null => {
    const end = bytes.indexOf('\r\n', at)
    if (end < 0) return null
    const value = Number(bytes.toString('latin1', at + 1, end))
    at = end + 2
    return value
  }
  if (bytes.length === 0) return null
  const parts = number()
  if (parts === null) return null
  for (let part = 0; part < parts; part++) {
    const length = number()
    if (length === null || bytes.length < at + length + 2) return null
    at += length + 2
  }
  return at
}
