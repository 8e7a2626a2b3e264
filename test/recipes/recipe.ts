import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { projectWith } from '../helpers/package.js'
import type { Owner } from '../helpers/teardown.js'
import { startable, type Installed } from '../hosts/host.js'
import { visitorAt } from '../hosts/visitor.js'

const RECIPES = join('test', 'recipes')

/**
 * Installs a recipe of docs/hosts.md into a temporary folder: its files, the packed package, and packages beside it. It has a database of
 * its own.
 *
 * @param packages `name@version`
 * @param files texts by name, beside those of the folder
 */
export async function installRecipe (
  t: Owner, folder: string, packages: string[], files: Record<string, string> = {}
): Promise<Installed> {
  const at = join(RECIPES, folder)
  const sources: Record<string, string> = {}
  for (const entry of (await readdir(at, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())) {
    const path = join(entry.parentPath, entry.name)
    sources[relative(at, path)] = await readFile(path, 'utf8')
  }
  return await startable(t, await projectWith(t, packages, { ...sources, ...files }))
}

/** Compiles a recipe's TypeScript. @throws with the compiler's output */
export async function compile ({ run }: Pick<Installed, 'run'>): Promise<void> {
  const { code, stdout } = await run(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc')])
  if (code !== 0) throw new Error(stdout)
}

/** Returns a function that logs a user in at the host's `POST /login`. */
export const logInAt = (base: string, body: (name: string) => object = (name) => ({ name })) => async (name: string) => {
  const visitor = visitorAt([base])
  const { status, text } = await visitor.ask('POST', '/login', body(name))
  if (status > 201) throw new Error(`log-in: ${text}`)
  return visitor
}
