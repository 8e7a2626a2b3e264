/** State of the files from which `npm run build` makes the service. */
import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** By its module: `typescript` itself is 5.9, for eslint, and both packages have a command `tsc`. */
export const COMPILER = 'node_modules/typescript-7/lib/tsc.js'
/** State of the sources at the last build. */
export const STAMP = 'build/sources.txt'

const FOLDERS = ['src', 'plugins', 'routes', 'migrations', 'pages', 'scripts']
const FILES = ['package.json', 'package-lock.json', 'service/package.json', 'tsconfig.json']

/** Returns a digest of the names, sizes and times of all sources. It reads no content: a start waits for it. */
export async function stateOfSources () {
  const listed = await Promise.all(FOLDERS.map(async (folder) =>
    (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))))
  const files = [...listed.flat(), ...FILES].sort()
  const states = await Promise.all(files.map(async (file) => {
    const { size, mtimeMs } = await stat(file)
    return `${file} ${size} ${mtimeMs}`
  }))
  return createHash('sha256').update(states.join('\n')).digest('hex')
}

/** Returns true if the last build was made from the sources as they are. */
export async function isBuilt () {
  return await readFile(STAMP, 'utf8').catch(() => '') === await stateOfSources()
}
