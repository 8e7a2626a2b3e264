import { constants, existsSync } from 'node:fs'
import { cp, mkdtemp, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { openEmbedded } from '../../src/postgres/embedded/pglite.js'
import { prepareDatabaseDir, prepareDataDir } from '../../src/postgres/embedded/data-dir.js'
import { versioned } from './package.js'
import type { Owner } from './teardown.js'
import { temporaryFolder } from './temporary-folder.js'

/** Complete or absent. No process opens it; it is copied. */
const MADE = resolve('build', `embedded${(await versioned('@electric-sql/pglite')).replaceAll(/[@/]/g, '-')}`)

/**
 * Returns a `DATA_DIR` with an empty embedded database. Its creation takes ten seconds of CPU and always has the same result.
 * The other steps of a first start are not done. The first start without it is tested in server.test.ts.
 */
export async function embeddedDataDir (t: Owner): Promise<string> {
  if (!existsSync(MADE)) await make()
  const dataDir = join(await temporaryFolder(t), 'data')
  await cp(MADE, dataDir, { recursive: true, mode: constants.COPYFILE_FICLONE })
  return dataDir
}

async function make (): Promise<void> {
  const draft = await mkdtemp(`${MADE}-`)
  await prepareDataDir(draft)
  await (await openEmbedded(await prepareDatabaseDir(draft))).close()
  // If another test file was faster, its result is used.
  await rename(draft, MADE).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
  })
  await rm(draft, { recursive: true, force: true })
}
