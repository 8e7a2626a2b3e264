import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { commandOf } from '../pool.js'
import { takeTurns, type TurnPool } from './one-connection.js'
import { unpackTemplate } from './template.js'

/**
 * V8 compiles WebAssembly quickly, and a function that runs often once more, optimised. For PostgreSQL's parser alone, the second
 * compilation takes 600 MiB from Node 24 on, and the code is no faster (docs/performance.md has the figures).
 */
const COMPILED_ONCE = ['--no-wasm-dynamic-tiering', '--no-wasm-tier-up']

/**
 * PGlite writes zeros to the whole of PostgreSQL's shared memory when it opens a database, so each buffer takes memory even if it
 * is never used. The template has PostgreSQL's own value, 128MB.
 */
const SHARED_BUFFERS = '32MB'

/** Begins the name of a database that PGlite keeps in memory: it has no folder. */
const IN_MEMORY = 'memory://'

/**
 * Opens the embedded PostgreSQL, for a service without DATABASE_URL. It has one connection, which its users take in turn.
 * The caller must lock the folder: two processes on one folder lose data.
 */
export async function openEmbedded (dir: string): Promise<TurnPool> {
  for (const flag of COMPILED_ONCE) setFlagsFromString(flag)
  // Imported here, so that a service with a PostgreSQL server does not load it.
  const { PGlite } = await import('@electric-sql/pglite')
  if (!dir.startsWith(IN_MEMORY) && !existsSync(join(dir, 'PG_VERSION'))) await unpackTemplate(dir)
  const pglite = await PGlite.create({
    dataDir: dir,
    startParams: [...PGlite.defaultStartParams, '-c', `shared_buffers=${SHARED_BUFFERS}`]
  })
  return takeTurns({
    async query (text, values) {
      const result = await pglite.query(text, values)
      return { command: commandOf(text) as 'SELECT', rowCount: result.affectedRows ?? result.rows.length, rows: result.rows }
    },
    close: () => pglite.close()
  })
}
