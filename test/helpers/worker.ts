/**
 * Process of `npm test` that runs test files, one after another, as its parent names them (pool.ts). The modules of the service are
 * loaded and compiled once for all of them: in a process of its own, a file takes a second of CPU before its first test. A file
 * is a subtest, and during it, tap's root object stands for that subtest. Prints TAP.
 */
import './without-async-hooks.js'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { FileSkipped } from './need.js'
import type { Cost } from './pool.js'

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
// Also an unhandled rejection.
process.on('uncaughtException', (error) => {
  if (file !== undefined && file.results === undefined) return file.threw(error)
  console.error(error)
  process.exit(1)
})
let running = Promise.resolve()
process.on('message', (path: unknown) => {
  // Those of a mutant are for another listener.
  if (typeof path !== 'string') return
  // An empty path ends the process, once the cost of its last file is sent.
  running = path === '' ? running.then(() => { process.disconnect() }) : run(path)
})
/** Runs of each file. A module is evaluated once for each address. */
const runs = new Map<string, number>()

function addressOf (path: string): string {
  const before = runs.get(path) ?? 0
  runs.set(path, before + 1)
  return pathToFileURL(resolve(path)).href + (before === 0 ? '' : `?${before}`)
}

async function run (path: string): Promise<void> {
  let isLate = false
  const [beganAtMs, beganAtCpu] = [performance.now(), cpuSeconds()]
  await ofRoot['test']!(path, { timeout: FILE_MS }, async (t: Test) => {
    file = t
    hasTests = false
    t.once('timeout', () => { isLate = true })
    await import(addressOf(path)).catch((error: unknown) => { if (!(error instanceof FileSkipped)) throw error })
    if (!hasTests) t.fail('no tests in this file')
  })
  file = undefined
  const cost: Cost = { file: path, seconds: (performance.now() - beganAtMs) / 1000, cpuSeconds: cpuSeconds() - beganAtCpu }
  if (process.connected) process.send!(cost, () => {})
  // Its tests are still under way.
  if (isLate) process.exit(1)
}

/** Returns the CPU time of this process and of its ended children. A store's time is its own. */
function cpuSeconds (): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000_000 + childrenSeconds()
}

/** Linux counts a child's time when the child has ended. Elsewhere it is left out. */
function childrenSeconds (): number {
  try {
    // proc_pid_stat(5): after the name in parentheses, cutime and cstime, in hundredths of a second.
    const fields = readFileSync('/proc/self/stat', 'utf8').replace(/^.*\) /s, '').split(' ')
    return (Number(fields[13]) + Number(fields[14])) / 100
  } catch {
    return 0
  }
}
