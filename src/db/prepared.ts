import { createHash } from 'node:crypto'

/** Several times as many as the service has. A text that were made up anew each time must not fill Postgres' memory. */
const MOST = 200

/** Statements that connections keep, parsed and planned, each by a name: planning ours takes Postgres several times as long as what was planned. */
export interface Prepared {
  /** Whether this connection leads to one process of Postgres for good. A pooler lends another one for each transaction, which knows no names. */
  keeps (client: object): void
  nameOf (client: object, text: string): string | undefined
  /** A plan does not fit its tables any more: the same statements, by other names. */
  forget (): void
}

export function createPrepared (): Prepared {
  const clients = new WeakSet<object>()
  const names = new Map<string, string>()
  let generation = 0

  function nameFor (text: string): string | undefined {
    if (names.size >= MOST) return undefined
    const digest = createHash('sha256').update(text).digest('base64url').slice(0, 22)
    const name = `countersign_${generation}_${digest}`
    names.set(text, name)
    return name
  }

  return {
    keeps: (client) => { clients.add(client) },
    nameOf: (client, text) => clients.has(client) ? names.get(text) ?? nameFor(text) : undefined,
    forget () {
      names.clear()
      generation++
    }
  }
}
