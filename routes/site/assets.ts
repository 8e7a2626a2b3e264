import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, extname, join } from 'node:path'

/** Folder that scripts/bundle-pages.js writes beside the compiled code. */
const FOLDER = 'assets'
const MANIFEST = 'assets.json'
/** Folders from this module up to the compiler's output, at most. */
const MOST_LEVELS = 4

const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml; charset=utf-8'
}

/** Encodings, the smallest first. */
export const encodings = ['br', 'gzip'] as const
export type Encoding = typeof encodings[number]

/** A file of the pages. Its name changes with its content. */
export interface Asset { type: string, content: Buffer, encoded: Readonly<Record<Encoding, Buffer>> }

export interface Assets {
  /** Returns the name under which a file is served: `app.js` may be `app-QX3ZL4YC.js`. */
  nameOf (name: string): string
  find (servedName: string): Asset | undefined
}

/** @throws {Error} if the pages are not built */
export async function readAssets (): Promise<Assets> {
  const folder = findFolder()
  const names = JSON.parse(await readFile(join(folder, MANIFEST), 'utf8')) as Record<string, string>
  const served = (await readdir(folder)).filter((name) => extname(name) in TYPES)
  const assets = new Map(await Promise.all(served.map(async (name) => {
    const read = (ending = '') => readFile(join(folder, name + ending))
    const [content, br, gzip] = await Promise.all([read(), read('.br'), read('.gz')])
    return [name, { type: TYPES[extname(name)]!, content, encoded: { br, gzip } }] as const
  })))
  return { nameOf: (name) => names[name] ?? name, find: (servedName) => assets.get(servedName) }
}

function findFolder (): string {
  let folder = import.meta.dirname
  for (let level = 0; level < MOST_LEVELS; level++, folder = dirname(folder)) {
    const found = join(folder, FOLDER)
    if (existsSync(join(found, MANIFEST))) return found
  }
  throw new Error('the pages are not built: run `npm run build`')
}
