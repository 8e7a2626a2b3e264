/**
 * Process of `npm test` that runs test files, one after another, as its parent names them (pool.ts). The modules of the service are
 * loaded and compiled once for all of them: in a process of its own, a file takes a second of CPU before its first test. A file
 * is a subtest, and during it, tap's root object stands for that subtest. Prints TAP.
 */
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { FileSkipped } from './need.js'

/** Methods of tap that test files call outside of a test. */
const METHODS = [
  'test', 'skip', 'todo', 'plan', 'comment', 'setTimeout', 'teardown', 'before', 'beforeEach', 'after', 'afterEach',
  'pass', 'fail', 'ok', 'notOk', 'equal', 'not', 'same', 'notSame', 'match', 'notMatch', 'throws', 'rejects', 'resolves'
] as const

type Methods = Record<string, (...values: unknown[]) => unknown>

const root = t as unknown as Methods
const ofRoot = Object.fromEntries(METHODS.map((name) => [name, root[name]!.bind(t)]))
/** Subtest of the current file. */
let file: Test | undefined
/** True if the current file has called tap. */
let hasTests = false

for (const name of METHODS) {
  Object.defineProperty(t, name, {
    configurable: true,
    get () {
      hasTests = true
      // An end of the process in the middle of a file reaches the root after the file.
      return file === undefined || file.results !== undefined ? ofRoot[name] : (file as unknown as Methods)[name]!.bind(file)
    },
    // Tap replaces its own `teardown`.
    set () {}
  })
}
Object.defineProperty(t, 'jobs', { get: () => file?.jobs ?? 1, set: (jobs: number) => { if (file !== undefined) file.jobs = jobs } })

/** Time limit of a file, unless it sets another one. The process itself has none. */
const FILE_MS = Number(process.env['TAP_TIMEOUT']) * 1000
t.setTimeout(0)

// Tap lets a process end whose only open handle is the channel to its parent.
t.pipe(process.stdout)
process.channel!.ref()
process.on('message', (path: string) => { void run(path) })

async function run (path: string): Promise<void> {
  let isLate = false
  await ofRoot['test']!(path, { timeout: FILE_MS }, async (t: Test) => {
    file = t
    hasTests = false
    t.once('timeout', () => { isLate = true })
    await import(pathToFileURL(resolve(path)).href).catch((error: unknown) => { if (!(error instanceof FileSkipped)) throw error })
    if (!hasTests) t.fail('no tests in this file')
  })
  file = undefined
  // Its tests are still under way.
  if (isLate) process.exit(1)
}
