import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ConfigError } from '../../core/config-error.js'

/**
 * Makes the folder of the embedded data, private to its owner and ignored by git. An empty folder is changed in the same way.
 * A folder with files in it is left unchanged, since DATA_DIR may point by mistake at a home directory.
 *
 * @throws {ConfigError} if there can be no such folder
 */
export async function prepareDataDir (dataDir: string): Promise<void> {
  try {
    await makeFolders(dataDir)
    if ((await readdir(dataDir)).length > 0) return
    // A mounted volume may belong to another user and still be writable.
    await chmod(dataDir, 0o700).catch(unless('EPERM'))
    await writeFile(join(dataDir, '.gitignore'), '*\n', { flag: 'wx' }).catch(unless('EEXIST'))
  } catch (error) {
    throw new ConfigError('DATA_DIR', `be a folder that this process may make and write (${codeOf(error)})`)
  }
}

/** Makes a folder and those around it. Node's recursive `mkdir` has no end in a folder that takes no other one and denies its existence. */
async function makeFolders (path: string): Promise<void> {
  const make = async () => { await mkdir(path, { mode: 0o700 }).catch(unless('EEXIST')) }
  await make().catch(async (error: unknown) => {
    if (codeOf(error) !== 'ENOENT' || existsSync(dirname(path))) throw error
    await makeFolders(dirname(path))
    await make()
  })
}

/**
 * Returns the folder of the database itself, and makes it if needed. It is private to its owner even if an older DATA_DIR is not.
 *
 * @throws {ConfigError} if there can be no such folder
 */
export async function prepareDatabaseDir (dataDir: string): Promise<string> {
  const folder = databaseDir(dataDir)
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await chmod(folder, 0o700).catch(unless('EPERM'))
  } catch (error) {
    throw new ConfigError('DATA_DIR', `have a folder postgres that this process may make and write (${codeOf(error)})`)
  }
  return folder
}

/** True if there is a database in DATA_DIR. */
export const hasDatabase = (dataDir: string): boolean => existsSync(join(databaseDir(dataDir), 'PG_VERSION'))

const databaseDir = (dataDir: string): string => join(dataDir, 'postgres')

/** Returns a handler that ignores one system error, and throws all others again. */
export function unless (code: string): (error: unknown) => void {
  return (error) => { if (codeOf(error) !== code) throw error }
}

/** Returns the code of a system error, such as ENOENT. Its message is not shown, because it contains the path. */
export function codeOf (error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error'
}
