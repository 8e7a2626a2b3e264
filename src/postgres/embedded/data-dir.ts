import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError } from '../../core/config-error.js'

/**
 * Makes the folder of the embedded data, for its owner alone and unknown to git.
 * An empty folder is taken over in the same way; one with files in it is left as
 * it is, since DATA_DIR may point by mistake at a home directory.
 *
 * @throws {ConfigError} if there can be no such folder
 */
export async function prepareDataDir (dataDir: string): Promise<void> {
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
    if ((await readdir(dataDir)).length > 0) return
    // A mounted volume may belong to somebody else and still be ours to write.
    await chmod(dataDir, 0o700).catch(unless('EPERM'))
    await writeFile(join(dataDir, '.gitignore'), '*\n', { flag: 'wx' }).catch(unless('EEXIST'))
  } catch (error) {
    throw new ConfigError('DATA_DIR', `be a folder that this process may make and write (${codeOf(error)})`)
  }
}

/**
 * The folder of the database itself, made if it is not there: for its owner alone also where DATA_DIR, which was there
 * before, is open to others.
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

/** Whether there is a database in DATA_DIR. */
export const hasDatabase = (dataDir: string): boolean => existsSync(join(databaseDir(dataDir), 'PG_VERSION'))

const databaseDir = (dataDir: string): string => join(dataDir, 'postgres')

/** A handler that ignores one system error, and rethrows the rest. */
export function unless (code: string): (error: unknown) => void {
  return (error) => { if (codeOf(error) !== code) throw error }
}

/** The name of a system error, such as ENOENT. Its message is kept out of ours: it contains the path. */
export function codeOf (error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error'
}
