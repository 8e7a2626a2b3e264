import pg from 'pg'

interface Sent { text?: string }

/**
 * Changes the text of each statement that the driver sends in this process. It works on what the driver gets, so it knows no file of the
 * sources. To be called before the first connection.
 */
export function changeStatements (change: (text: string) => string): void {
  const query = pg.Client.prototype.query as (this: pg.Client, sent: unknown, ...rest: unknown[]) => unknown
  pg.Client.prototype.query = function (this: pg.Client, sent: unknown, ...rest: unknown[]): unknown {
    if (typeof sent === 'string') return query.call(this, change(sent), ...rest)
    const config = sent as Sent | null
    if (typeof config?.text === 'string') config.text = change(config.text)
    return query.call(this, sent, ...rest)
  } as typeof pg.Client.prototype.query
}
