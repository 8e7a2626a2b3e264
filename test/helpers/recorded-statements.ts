import { AsyncLocalStorage } from 'node:async_hooks'
import pg from 'pg'

type Query = (this: pg.Client, ...args: unknown[]) => unknown

/** Records the texts of the statements of this process that match, until `stop`. Needs a real PostgreSQL. */
export function recordStatements (pattern: RegExp): { statements: string[], stop: () => void } {
  const statements: string[] = []
  const prototype = pg.Client.prototype as unknown as { query: Query }
  const plain = prototype.query
  prototype.query = function (...args) {
    const [first] = args
    const text = typeof first === 'string' ? first : (first as { text?: string }).text ?? ''
    if (pattern.test(text)) statements.push(text)
    return plain.apply(this, args)
  }
  return { statements, stop: () => { prototype.query = plain } }
}

const working = new AsyncLocalStorage<string[]>()
let isWatched = false

/** Watches the clients of this process for good: tests that overlap would take each other's watch back. */
function watch (): void {
  if (isWatched) return
  isWatched = true
  const client = pg.Client.prototype as unknown as { query: Query }
  const { query } = client
  client.query = function (...args) {
    const [first] = args
    working.getStore()?.push(typeof first === 'string' ? first : (first as { text?: string }).text ?? '')
    return query.apply(this, args)
  }
}

/**
 * Returns the statements and transaction commands that the work sends. What timers and other tests of this process send meanwhile, such
 * as a poll of the revocations, is not among them. Needs a real PostgreSQL.
 */
export async function statementsDuring (work: () => Promise<unknown>): Promise<string[]> {
  watch()
  const sent: string[] = []
  await working.run(sent, work)
  return sent
}
