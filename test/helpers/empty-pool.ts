import type { Pool } from '../../src/postgres/pool.js'
import { openEmbedded } from '../../src/postgres/embedded/pglite.js'
import { openPostgres } from '../../src/postgres/server-pool.js'
import { emptyDatabase } from './database.js'
import { stores } from './stores.js'
import type { Owner } from './teardown.js'
import { temporaryFolder } from './temporary-folder.js'

/** Opens an empty database for a test of tables or of the driver, on the server if there is one: an embedded one takes 3 s of CPU. */
export async function emptyPool (t: Owner): Promise<Pool> {
  const { databaseUrl } = await stores()
  const pool = databaseUrl === undefined
    ? await openEmbedded(await temporaryFolder(t))
    : openPostgres(await emptyDatabase(t, databaseUrl), 1, () => {}, 0)
  t.teardown(() => pool.close())
  return pool
}
