import { PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely'
import { asRefusal } from '../errors.js'
import { commandOf, type Pool } from '../pool.js'

/**
 * Postgres inside the process, for running with nothing set. It has one connection, so its users take turns.
 * The folder must be locked by the caller: two processes on it lose data.
 */
export async function openEmbedded (dir: string): Promise<Pool> {
  // On a PostgreSQL server it is not loaded at all.
  const { PGlite } = await import('@electric-sql/pglite')
  const pglite = await PGlite.create({ dataDir: dir })
  let turn: Promise<void> = Promise.resolve()
  let waiting = 0
  let closed = false

  const connect = async (): Promise<PostgresPoolClient> => {
    if (closed) throw asRefusal(new Error('PGlite is closed'))
    let release!: () => void
    const mine = new Promise<void>((resolve) => { release = resolve })
    const previous = turn
    turn = previous.then(() => mine)
    waiting++
    await previous
    waiting--
    return {
      async query (text: string, values: readonly unknown[] = []) {
        const result = await pglite.query(text, [...values]).catch((error: unknown) => { throw asRefusal(error) })
        return { command: commandOf(text), rowCount: result.affectedRows ?? result.rows.length, rows: result.rows }
      },
      release
    } as PostgresPoolClient
  }
  return {
    dialect: new PostgresDialect({ pool: { connect, end: async () => {} } as PostgresPool }),
    renew () {},
    stats: () => ({ total: 1, idle: waiting === 0 ? 1 : 0, waiting }),
    async close () {
      closed = true
      await turn
      await pglite.close()
    }
  }
}
