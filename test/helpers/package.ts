import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from './temporary-folder.js'
import type { Owner } from './teardown.js'
import { until } from './wait.js'

const run = promisify(execFile)
/** Compiling and downloading take seconds, on a busy machine minutes. */
const MAKING_MS = 300_000
/** npm 11 on Node 22 stood still once in some hundred installs, with no connection open. */
const INSTALL_MS = 100_000

/** One folder per test run, shared by its files. */
const RUN = resolve('build', 'packed', process.env['COUNTERSIGN_TEST_RUN'] ?? String(process.pid))

/** Returns a folder that the first file of a run fills, while the others wait. @returns its path */
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

/** Returns `name@version` of a package, in the version that the repository uses. */
export async function versioned (name: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join('node_modules', name, 'package.json'), 'utf8')) as { version: string }
  return `${name}@${version}`
}

/** The packages of this repository, with the arguments that make `npm pack` pack each. */
const ours = { countersign: [], 'countersign-service': ['--workspace', 'countersign-service'] }

/**
 * Packs a package as `npm publish` does. Without tap's NODE_OPTIONS: with its hooks, the compiler's command, an ES module,
 * does not load.
 *
 * @returns the path of the tarball
 */
export async function packed (name: keyof typeof ours = 'countersign'): Promise<string> {
  const env = { ...process.env, NODE_OPTIONS: '' }
  const folder = await sharedFolder(`${name}-tarball`, (into) =>
    run('npm', ['pack', '--silent', ...ours[name], '--pack-destination', into], { env }))
  const [file = ''] = await readdir(folder)
  return join(folder, file)
}

export interface Project {
  folder: string
  /** Runs a program in the folder. @returns its output and exit code */
  run (program: string, args: string[], env?: Record<string, string>): Promise<{ code: number, stdout: string, stderr: string }>
}

/**
 * Creates a folder with the package installed, as from the registry.
 *
 * @param packages `name@version`
 * @param files texts by name
 */
export async function projectWith (t: Owner, packages: string[], files: Record<string, string> = {}): Promise<Project> {
  const project = await projectAt(await temporaryFolder(t), files)
  await install(project, [await packed(), ...packages])
  return project
}

/** @param files texts by name, beside a `package.json` for ES modules */
export async function projectAt (folder: string, files: Record<string, string> = {}): Promise<Project> {
  const texts = { 'package.json': '{ "name": "host", "private": true, "type": "module" }', ...files }
  for (const [name, text] of Object.entries(texts)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  return {
    folder,
    run: async (program, args, env = {}) => await run(program, args, { cwd: folder, env: { ...plainEnvironment(), ...env } })
      .then(({ stdout, stderr }) => ({ code: 0, stdout, stderr }), ({ code, stdout, stderr }) => ({ code, stdout, stderr }))
  }
}

const plainEnvironment = () => ({ PATH: process.env['PATH'], HOME: process.env['HOME'] })

/** Packages are downloaded once and then reused. An install that stands still begins again, once. */
export async function install ({ folder }: Pick<Project, 'folder'>, packages: string[]): Promise<void> {
  const args = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error', ...packages]
  const npm = () => run('npm', args, { cwd: folder, env: plainEnvironment(), timeout: INSTALL_MS, killSignal: 'SIGKILL' })
  await npm().catch((error: { killed?: boolean }) => {
    if (error.killed !== true) throw error
    return npm()
  })
}
