import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freshDatabase } from '../helpers/database.js'
import type { TestClock } from '../helpers/clock.js'
import { startNode, type NodeProcess } from '../helpers/node-process.js'
import { projectWith, type Project } from '../helpers/package.js'
import type { Owner } from '../helpers/teardown.js'

const SOURCES = join('test', 'hosts')
const { devDependencies } = JSON.parse(await readFile('package.json', 'utf8')) as { devDependencies: Record<string, string> }

/** As the repository has it, or as said: `name@version`. */
export const versioned = (names: string[]) => names.map((name) => name.lastIndexOf('@') > 0 ? name : `${name}@${devDependencies[name]}`)

export interface Installed extends Project {
  databaseUrl: string
  clock: TestClock
  /** Another process of it; more than one share the database. */
  start (env: Record<string, string>, script?: string): Promise<{ base: string, process: NodeProcess }>
}

/** A host of this folder, in a folder of its own, with the package and what else it needs. */
export async function hostFolder (t: Owner, name: string, packages: string[]): Promise<Project> {
  const files: Record<string, string> = {}
  for (const file of await readdir(join(SOURCES, name))) files[file] = await readFile(join(SOURCES, name, file), 'utf8')
  return await projectWith(t, versioned(packages), files)
}

/** The same to be started, with a database of its own, whose clock a test moves. */
export async function installHost (t: Owner, name: string, packages: string[]): Promise<Installed> {
  return await startable(t, await hostFolder(t, name, packages))
}

export async function startable (t: Owner, project: Project): Promise<Installed> {
  const { url, clock } = await freshDatabase(t)
  return {
    ...project,
    databaseUrl: url,
    clock,
    async start (env, script = 'server.js') {
      const process = startNode(t, [script], { PORT: '0', DATABASE_URL: url, ...env }, project.folder)
      return { base: await process.saying(/^listening on (http:\S+)/m, 'the host to listen'), process }
    }
  }
}
