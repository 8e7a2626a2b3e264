import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const WORKER = join(import.meta.dirname, 'worker.js')
/** Time limit of a file. */
const FILE_SECONDS = 300
/** A process ends by itself after its last file, unless a file left something open. */
const END_SECONDS = 60
/** Tap ends a file in time, and the process after it; where the process does not answer, it is stopped. */
const LATE_SECONDS = 10
/** Tap says what a file waits for when it gets SIGALRM. */
const FAREWELL_MS = 15_000
/** Many tests wait: for a store, a browser or a process of theirs. */
const WORKERS = availableParallelism() * 2

/** Cost of a file, its processes included. */
export interface Cost { file: string, seconds: number, cpuSeconds: number }

/** Processes that run test files, and print the TAP of each file. */
export interface PoolOptions {
  env: NodeJS.ProcessEnv
  /** Gets the lines of a file at once, and those at the end of a process. */
  print (lines: readonly string[]): void
  /** Gets what each file cost, after its end. */
  cost (cost: Cost): void
  /** Name of the group whose files share processes, or null: a process of its own. */
  groupOf (file: string): string | null
  /** Files that run one at a time, after the others, in processes of their own. */
  isAlone (file: string): boolean
}

/** Runs test files. @returns false if a process failed; a file that it did not finish has no result in its lines */
export async function runFiles (files: readonly string[], options: PoolOptions): Promise<boolean> {
  const { groupOf, isAlone } = options
  const alone = files.filter(isAlone)
  const others = files.filter((file) => !isAlone(file))
  const groups = [...new Set(others.map(groupOf))].map((group) => ({ group, files: others.filter((file) => groupOf(file) === group) }))
  // A process of another group loads everything again: a small group has few processes, and the next one begins beside them.
  let next = 0
  const placed = groups.map(({ group, files }) => {
    const [first, count] = [next, Math.ceil(2 * WORKERS * files.length / others.length)]
    next += count
    return { group, files, isHere: (lane: number) => (lane + WORKERS - first % WORKERS) % WORKERS < count }
  })
  const results = await Promise.all(Array.from({ length: WORKERS }, async (_, lane) => {
    let passed = true
    for (const { group, files } of placed.filter(({ isHere }) => isHere(lane))) {
      passed = await (group === null ? runApart : runShared)(files, options) && passed
    }
    return passed
  }))
  return await runApart(alone, options) && results.every(Boolean)
}

/** Takes files from the list, each for a process of its own. */
async function runApart (files: string[], options: PoolOptions): Promise<boolean> {
  let passed = true
  for (let file = files.shift(); file !== undefined; file = files.shift()) passed = await runShared([file], options) && passed
  return passed
}

/** Takes files from the list for one process, and for another if it breaks off. */
async function runShared (files: string[], options: PoolOptions): Promise<boolean> {
  let passed = true
  while (files.length > 0) {
    const worker = startWorker(options)
    for (let file = files.shift(); file !== undefined; file = files.shift()) {
      const state = await worker.run(file)
      if (state === 'untouched') files.unshift(file)
      if (state !== 'finished') break
    }
    passed = await worker.end() && passed
  }
  return passed
}

export interface Worker {
  process: ChildProcess
  /** Returns how far the process came with the file before it ended. */
  run (file: string): Promise<'untouched' | 'broken off' | 'finished'>
  /** @returns false if a file failed, or if the process did not end by itself */
  end (): Promise<boolean>
}

/** @param program the worker's program, with a time limit of a file */
export function startWorker (
  { env, print, cost }: Pick<PoolOptions, 'env' | 'print' | 'cost'>, program = WORKER, fileSeconds = FILE_SECONDS
): Worker {
  const child = spawn(process.execPath, [program], {
    env: { ...env, TAP_TIMEOUT: String(fileSeconds) }, stdio: ['ignore', 'pipe', 'inherit', 'ipc']
  })
  // Tap has messages of its own.
  child.on('message', (message: Partial<Cost>) => { if (message.seconds !== undefined) cost(message as Cost) })
  const exit = once(child, 'exit')
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()

  /** Prints and returns the lines up to the result of the file, or to the end of the process. */
  async function nextBlock (file?: string): Promise<string[]> {
    const block: string[] = []
    const timer = stopLater(child, file === undefined ? END_SECONDS : fileSeconds + LATE_SECONDS)
    for (let next = await lines.next(); next.done !== true; next = await lines.next()) {
      block.push(next.value)
      if (isResult(next.value, file)) break
    }
    clearTimeout(timer)
    print(block)
    return block
  }

  return {
    process: child,
    async run (file) {
      // Where the process has ended, its output has too.
      child.send(file, () => {})
      const block = await nextBlock(file)
      return isResult(block.at(-1), file) ? 'finished' : block.includes(`# Subtest: ${file}`) ? 'broken off' : 'untouched'
    },
    async end () {
      if (child.connected) child.send('', () => {})
      // Tap's totals.
      await nextBlock()
      const [code] = await exit
      return code === 0
    }
  }
}

/** Errors outside of a test have a result too: its name is the message. */
const isResult = (line = '', file?: string) => file !== undefined && /^(?:not )?ok \d+ - (\S+)/.exec(line)?.[1] === file

/** Stops a process that takes too long. */
function stopLater (child: ChildProcess, seconds: number): NodeJS.Timeout {
  return setTimeout(() => {
    child.kill('SIGALRM')
    setTimeout(() => child.kill('SIGKILL'), FAREWELL_MS).unref()
  }, seconds * 1000)
}
