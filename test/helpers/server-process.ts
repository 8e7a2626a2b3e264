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
/** Without `exec node`. What is tested and measured is what `npm start` starts. */
const START = scripts.start.split(' ').slice(2)
/** PGlite needs some seconds to be made, more of them where others test too. */
const START_MS = 60_000

/** The service as `npm start` runs it, in a process of its own: to be started wrongly, asked, read, weighed and killed. */
export interface ServerProcess {
  readonly pid: number
  /** All that it wrote so far, to both outputs. */
  said (): string
  /** Resolves with its address once it listens. @throws with what it said, if it ends before */
  listening (): Promise<string>
  /** Resolves with its address once `/readyz` says that it serves. @throws as `listening` */
  ready (): Promise<string>
  /** Resident memory in MiB. Needs /proc. */
  memory (): Promise<number>
  /** The exit code; null after a signal. */
  readonly exited: Promise<number | null>
  kill (signal: NodeJS.Signals): Promise<number | null>
}

/**
 * With these settings and none of the caller's; on any free port unless told. It says in its log, at `info`, where it
 * listens: so a quieter LOG_LEVEL is for those only who do not wait for that. Requests are not logged.
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
    memory: async () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024,
    exited,
    kill
  }
}
