import { createHash } from 'node:crypto'

/** Several times as many as the service has. A text that were made up anew each time must not fill Postgres' memory. */
const MOST = 200

/**
 * Statements that connections keep, parsed and planned, each by a name: planning ours takes Postgres several times as
 * long as doing what was planned.
 */
export interface Prepared {
  /** This connection leads to one process of Postgres for good. A pooler lends another one for each transaction, which knows no names. */
  trust (client: object): void
  /** What it was given by name did not go, and without a name it did: a pooler after all, or a migration changed what had been planned for. */
  distrust (client: object): void
  /** By which the connection keeps this text; undefined where it keeps nothing. */
  nameOf (client: object, text: string): string | undefined
}

export function createPrepared (): Prepared {
  const clients = new WeakSet<object>()
  const names = new Map<string, string>()

  function nameFor (text: string): string | undefined {
    if (names.size >= MOST) return undefined
    const name = `countersign_${createHash('sha256').update(text).digest('base64url').slice(0, 22)}`
    names.set(text, name)
    return name
  }

  return {
    trust: (client) => { clients.add(client) },
    distrust: (client) => { clients.delete(client) },
    nameOf: (client, text) => clients.has(client) ? names.get(text) ?? nameFor(text) : undefined
  }
}
