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
