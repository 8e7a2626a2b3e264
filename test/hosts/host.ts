import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestClock } from '../helpers/clock.js'
import { freshDatabase } from '../helpers/database.js'
import { startNode, type NodeProcess } from '../helpers/node-process.js'
import { install, packed, projectAt, sharedFolder, versioned, type Project } from '../helpers/package.js'
import type { Owner } from '../helpers/teardown.js'

const SOURCES = join('test', 'hosts')
/** Packages that all hosts have beside Countersign: in the repository's version, or in a version that the repository does not use. */
const PACKAGES = [
  'fastify', 'pg', 'ioredis', 'kysely@0.28.18', '@electric-sql/pglite',
  '@fastify/jwt', 'jose@6.2.18', '@fastify/cookie@11.1.5', '@fastify/session@11.1.3',
  'zod@4.6.7', 'fastify-type-provider-zod@7.0.0', 'typescript', '@types/node', '@types/pg'
]
const wanted = async (name: string) => name.lastIndexOf('@') > 0 ? name : await versioned(name)

export interface Installed extends Project {
  databaseUrl: string
  clock: TestClock
  /** Starts a process of the host; all its processes share the database. */
  start (env: Record<string, string>, script?: string): Promise<{ base: string, process: NodeProcess }>
}

/** Makes a host in its own folder, inside one that has all packages: they are installed once, since that takes longest. */
export async function hostWith (files: Record<string, string>): Promise<Project> {
  const shared = await sharedFolder('hosts', async (folder) =>
    install(await projectAt(folder), [await packed(), ...await Promise.all(PACKAGES.map(wanted))]))
  return await projectAt(join(shared, randomBytes(6).toString('hex')), files)
}

/** Makes a host from a folder of this one. */
export async function hostFolder (name: string): Promise<Project> {
  const files: Record<string, string> = {}
  for (const file of await readdir(join(SOURCES, name))) files[file] = await readFile(join(SOURCES, name, file), 'utf8')
  return await hostWith(files)
}

/** The same, ready to start, with its own database, whose clock the test moves. */
export async function installHost (t: Owner, name: string): Promise<Installed> {
  return await startable(t, await hostFolder(name))
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
