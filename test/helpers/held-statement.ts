import pg from 'pg'

/** Longer than any request. */
const REACHED_MS = 30_000

/** Statement that waits to be sent. */
export interface Held {
  /** Resolves when a connection is about to send it. @throws if none is, as after a change of the text */
  reached: Promise<void>
  /** Sends it. */
  release (): void
}

interface Sought { part: string, reach: () => void, isReleased: Promise<void> }

const sought = new Set<Sought>()
const query = pg.Client.prototype.query as (this: pg.Client, sent: unknown, ...rest: unknown[]) => unknown

pg.Client.prototype.query = function (this: pg.Client, sent: unknown, ...rest: unknown[]): unknown {
  const text = (sent as { text?: unknown } | null)?.text
  const held = typeof text === 'string' ? [...sought].find(({ part }) => text.includes(part)) : undefined
  if (held === undefined) return query.call(this, sent, ...rest)
  sought.delete(held)
  held.reach()
  return held.isReleased.then(() => query.call(this, sent, ...rest))
} as typeof pg.Client.prototype.query

/**
 * Holds the next statement that the app in this process sends to PostgreSQL with this part in its text: what a test changes
 * meanwhile, the statement sees.
 */
export function holdStatement (part: string): Held {
  let [reach, release] = [() => {}, () => {}]
  const reached = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(reject, REACHED_MS, new Error(`No statement has ${part}`)).unref()
    reach = () => { clearTimeout(timer); resolve() }
  })
  const isReleased = new Promise<void>((resolve) => { release = resolve })
  sought.add({ part, reach, isReleased })
  return { reached, release }
}
