import { execFile } from 'node:child_process'
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { temporaryFolder } from './temporary-folder.js'
import type { Owner } from './teardown.js'
import { until } from './wait.js'

const run = promisify(execFile)
/** Compiling it takes seconds, on a busy machine minutes. */
const PACK_MS = 300_000

/** One for each run of the tests: the files of a run share it. */
const RUN = resolve('build', 'packed', process.env['COUNTERSIGN_TEST_RUN'] ?? String(process.pid))

let path: Promise<string> | undefined

/** The package as `npm publish` would send it. @returns the tarball's path */
export function packed (): Promise<string> {
  path ??= pack()
  return path
}

async function pack (): Promise<string> {
  const done = join(RUN, 'done')
  const tarball = async () => {
    const names = await readdir(done).catch(() => [])
    return names[0] && join(done, names[0])
  }
  await mkdir(dirname(RUN), { recursive: true })
  const isFirst = await mkdir(RUN).then(() => true, () => false)
  if (isFirst) {
    const making = join(RUN, 'making')
    await mkdir(making)
    await run('npm', ['pack', '--silent', '--pack-destination', making])
    await rename(making, done)
  }
  return await until('the package to be packed', tarball, PACK_MS)
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
 * @param files texts by name; a `package.json` of its own to begin with
 */
export async function projectWith (t: Owner, packages: string[], files: Record<string, string> = {}): Promise<Project> {
  const tarball = await packed()
  const folder = await temporaryFolder(t)
  const texts = { 'package.json': '{ "name": "host", "private": true, "type": "module" }', ...files }
  for (const [name, text] of Object.entries(texts)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  const project: Project = {
    folder,
    run: async (program, args, env = {}) => await run(program, args, { cwd: folder, env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env } })
      .then(({ stdout, stderr }) => ({ code: 0, stdout, stderr }), ({ code, stdout, stderr }) => ({ code, stdout, stderr }))
  }
  await install(project, [tarball, ...packages])
  return project
}

/** What was downloaded once is not asked for again. */
export async function install ({ run }: Project, packages: string[]): Promise<void> {
  const { code, stderr } = await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error', ...packages])
  if (code !== 0) throw new Error(`npm install: ${stderr}`)
}
