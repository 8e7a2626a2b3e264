import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from './temporary-folder.js'
import type { Owner } from './teardown.js'
import { until } from './wait.js'

const run = promisify(execFile)
/** Compiling and downloading take seconds, on a busy machine minutes. */
const MAKING_MS = 300_000

/** One for each run of the tests: the files of a run share what is in it. */
const RUN = resolve('build', 'packed', process.env['COUNTERSIGN_TEST_RUN'] ?? String(process.pid))

/** A folder that the first of a run's files to ask for it fills, while the others wait. @returns its path */
export async function sharedFolder (name: string, fill: (folder: string) => Promise<unknown>): Promise<string> {
  const done = join(RUN, name)
  const making = join(RUN, `${name}.making`)
  await mkdir(RUN, { recursive: true })
  const isFirst = await mkdir(making).then(() => true, () => false)
  if (isFirst) {
    await fill(making)
    await symlink(making, done)
  }
  await until(`${name} to be made`, () => existsSync(done), MAKING_MS)
  return done
}

/**
 * The package as `npm publish` would send it. Without tap's NODE_OPTIONS: under its hooks the compiler's command, an ES module, does
 * not load.
 *
 * @returns the tarball's path
 */
export async function packed (): Promise<string> {
  const env = { ...process.env, NODE_OPTIONS: '' }
  const folder = await sharedFolder('tarball', (into) => run('npm', ['pack', '--silent', '--pack-destination', into], { env }))
  const [name = ''] = await readdir(folder)
  return join(folder, name)
}

export interface Project {
  folder: string
  /** Runs a program in it. @returns what it printed, and how it ended */
  run (program: string, args: string[], env?: Record<string, string>): Promise<{ code: number, stdout: string, stderr: string }>
}

/**
 * A folder of its own with the package in it, as anybody gets it from the registry.
 *
 * @param packages `name@version`
 * @param files texts by name
 */
export async function projectWith (t: Owner, packages: string[], files: Record<string, string> = {}): Promise<Project> {
  const project = await projectAt(await temporaryFolder(t), files)
  await install(project, [await packed(), ...packages])
  return project
}

/** @param files texts by name; beside them stands a `package.json` of ES modules */
export async function projectAt (folder: string, files: Record<string, string> = {}): Promise<Project> {
  const texts = { 'package.json': '{ "name": "host", "private": true, "type": "module" }', ...files }
  for (const [name, text] of Object.entries(texts)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  return {
    folder,
    run: async (program, args, env = {}) => await run(program, args, { cwd: folder, env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env } })
      .then(({ stdout, stderr }) => ({ code: 0, stdout, stderr }), ({ code, stdout, stderr }) => ({ code, stdout, stderr }))
  }
}

/** What was downloaded once is not asked for again. */
export async function install ({ run }: Project, packages: string[]): Promise<void> {
  const { code, stderr } = await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error', ...packages])
  if (code !== 0) throw new Error(`npm install: ${stderr}`)
}
