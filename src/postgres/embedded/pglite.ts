import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely'
import { asRefusal } from '../errors.js'
import { commandOf, type Pool } from '../pool.js'
import { unpackTemplate } from './template.js'

/**
 * V8 compiles a function of WebAssembly again, optimised, after it used this budget. With V8's own value, it compiles most of
 * PostgreSQL twice during the start.
 */
const TIERING_BUDGET = 1_000_000_000

/** Begins the name of a database that PGlite keeps in memory: it has no folder. */
const IN_MEMORY = 'memory://'

/**
 * Opens the embedded PostgreSQL, for a service without DATABASE_URL. It has one connection, which its users take in turn.
 * The caller must lock the folder: two processes on one folder lose data.
 */
export async function openEmbedded (dir: string): Promise<Pool> {
  // Imported here, so that a service with a PostgreSQL server does not load it.
  setFlagsFromString(`--wasm-tiering-budget=${TIERING_BUDGET}`)
  const { PGlite } = await import('@electric-sql/pglite')
  if (!dir.startsWith(IN_MEMORY) && !existsSync(join(dir, 'PG_VERSION'))) await unpackTemplate(dir)
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
