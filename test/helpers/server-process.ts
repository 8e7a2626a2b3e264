import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { call } from './http-client.js'
import { startNode } from './node-process.js'
import type { Settings } from './settings.js'
import type { Owner } from './teardown.js'
import { until } from './wait.js'

const ROOT = join(import.meta.dirname, '../../..')
const { scripts } = createRequire(import.meta.url)(join(ROOT, 'package.json')) as { scripts: { start: string } }
/** Without `exec node`. Tests and measurements start the same program as `npm start`. */
const START = scripts.start.split(' ').slice(2)
/** PGlite takes some seconds to start, more on a busy machine. */
const START_MS = 60_000

/**
 * The service as `npm start` runs it, in its own process. A test can give it wrong settings, send requests, read its output,
 * measure its memory and kill it.
 */
export interface ServerProcess {
  readonly pid: number
  /** Returns the output so far, of both streams. */
  said (): string
  /** Resolves with its address when it listens. @throws with the output, if it ends before */
  listening (): Promise<string>
  /** Resolves with its address when `/readyz` says that it serves. @throws as `listening` */
  ready (): Promise<string>
  /** Resident memory in MiB. Needs /proc. */
  memory (): Promise<number>
  /** The exit code; null after a signal. */
  readonly exited: Promise<number | null>
  kill (signal: NodeJS.Signals): Promise<number | null>
}

/**
 * Starts it with only these settings, on any free port by default. It logs its address at `info`: use a quieter LOG_LEVEL only
 * if the test does not wait for that. Requests are not logged.
 *
 * @param nodeOptions for Node itself, such as `--perf-basic-prof`
 */
export function startServer (t: Owner, settings: Settings, nodeOptions: readonly string[] = []): ServerProcess {
  const { child, said, saying, stillRunning, exited, kill } = startNode(t, [...nodeOptions, ...START], { PORT: '0', ...settings }, ROOT)
  const listening = async () => await saying(/Server listening at (http:\/\/[^"]+)/, 'the service to listen')
  return {
    pid: child.pid as number,
    said,
    listening,
    async ready () {
      const base = await listening()
      await until('the service to be ready', async () => {
        stillRunning()
        return (await call(base, 'GET', '/readyz')).status === 200
      }, START_MS)
      return base
    },
    memory: async () => await statusOf(child.pid as number, 'VmRSS'),
    exited,
    kill
  }
}

/** Returns the highest resident memory of a process so far, in MiB. Needs /proc. */
export const peakMemoryOf = async (pid: number): Promise<number> => await statusOf(pid, 'VmHWM')

async function statusOf (pid: number, field: 'VmRSS' | 'VmHWM'): Promise<number> {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}
