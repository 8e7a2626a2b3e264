import { createHash } from 'node:crypto'

/** Most names: several times the statements of the service. Texts that differ at each call must not fill PostgreSQL's memory. */
const MOST = 200

/**
 * Statements that connections keep parsed and planned, each under a name: planning them takes PostgreSQL several times as long
 * as executing them.
 */
export interface Prepared {
  /** Marks a connection that stays with one PostgreSQL process. A pooler uses another one per transaction, without the names. */
  trust (client: object): void
  /** Marks a connection on which a statement failed with a name and succeeded without: a pooler, or a migration changed the types. */
  distrust (client: object): void
  /** Returns the name under which the connection keeps this text; undefined if it keeps none. */
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
