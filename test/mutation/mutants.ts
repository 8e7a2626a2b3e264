import { join } from 'node:path'
import { startWorker, type Worker } from '../helpers/pool.js'
import { groupOf } from '../helpers/schedule.js'
import type { Run, Sent } from './worker.js'

/** A mutant that makes a test wait for ever is noticed too. A busy machine needs the rest. */
const MOST_SECONDS = 150

/** Result of a run of a test file. `failed`: name of the test that failed, or the reason why there is none. */
export interface Outcome { failed: string | null, seconds: number }

export interface Mutants {
  /** Runs a test file. @param named a file, or `file#pattern` for some tests of it */
  run (named: string, run: Omit<Run, 'pattern'>): Promise<Outcome>
  /** Returns the statements that the runs of a file have sent since the last call. */
  takeSenders (named: string): Promise<Sent['senders']>
  /** Ends all processes: what a failed test left behind goes with them. */
  end (): Promise<void>
}

const compiled = (named: string): string => join('build', named.replace(/\.ts(#.*)?$/, '.js'))

/** Runs test files in processes that stay: the service is loaded once for all mutants. */
export function createMutants (env: NodeJS.ProcessEnv): Mutants {
  const workers = new Map<string, { worker: Worker, lines: string[] }>()

  function workerOf (named: string) {
    const key = groupOf(compiled(named)) ?? compiled(named)
    const known = workers.get(key)
    if (known !== undefined) return { key, ...known }
    const lines: string[] = []
    const worker = startWorker({ env, print: (block) => { lines.push(...block) }, cost () {} },
      join(import.meta.dirname, 'worker.js'), MOST_SECONDS)
    workers.set(key, { worker, lines })
    return { key, worker, lines }
  }

  return {
    async run (named, run) {
      const { key, worker, lines } = workerOf(named)
      const beganAt = performance.now()
      lines.length = 0
      worker.process.send({ ...run, pattern: named.split('#')[1] ?? '' })
      const state = await worker.run(compiled(named))
      const seconds = (performance.now() - beganAt) / 1000
      if (state === 'finished') return { failed: failedOf(lines), seconds }
      workers.delete(key)
      worker.process.kill('SIGKILL')
      return { failed: `the process ended after ${seconds.toFixed(0)} s`, seconds }
    },
    async takeSenders (named) {
      const { worker } = workerOf(named)
      return await new Promise((resolve) => {
        const listen = (message: Partial<Sent> | null): void => {
          if (message?.senders === undefined) return
          worker.process.off('message', listen)
          resolve(message.senders)
        }
        worker.process.on('message', listen)
        worker.process.send({ takesSenders: true })
      })
    },
    async end () {
      for (const { worker } of workers.values()) worker.process.kill('SIGKILL')
      workers.clear()
    }
  }
}

/** Returns the name of the first failed test of a file, from its TAP; null if none failed. */
function failedOf (lines: readonly string[]): string | null {
  if (/^ok /.test(lines.at(-1) ?? '')) return null
  return lines.map((line) => /^ {4}not ok \d+ - (.*?)(?: # time=.*)?$/.exec(line)?.[1]).find((name) => name !== undefined) ?? 'the file'
}
