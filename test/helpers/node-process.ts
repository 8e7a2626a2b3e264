import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Owner } from './teardown.js'
import { until } from './wait.js'

const START_MS = 60_000

/** A program of Node's in a process of its own: to be started wrongly, read and killed. */
export interface NodeProcess {
  readonly child: ChildProcess
  /** All that it wrote so far, to both outputs. */
  said (): string
  /** Resolves with the first group, once it has said that. @throws with what it said, if it ends before */
  saying (pattern: RegExp, what: string): Promise<string>
  /** @throws with what it said, if it has ended */
  stillRunning (): void
  /** The exit code; null after a signal. */
  readonly exited: Promise<number | null>
  kill (signal: NodeJS.Signals): Promise<number | null>
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** With these variables and none of the caller's. Killed at the end. */
export function startNode (t: Owner, args: string[], env: Record<string, string>, cwd = process.cwd()): NodeProcess {
  const child = spawn(process.execPath, args, { cwd, env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  let said = ''
  for (const output of [child.stdout, child.stderr]) output.on('data', (bytes: Buffer) => { said += bytes.toString() })
  const exited = once(child, 'close').then(([code]) => {
    running.delete(child)
    return code as number | null
  })
  const kill = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    return await exited
  }
  t.teardown(() => kill('SIGKILL'))

  function stillRunning (): void {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`It ended: ${said}`)
  }
  return {
    child,
    said: () => said,
    saying: async (pattern, what) => await until(what, () => {
      const found = pattern.exec(said)?.[1]
      if (found === undefined) stillRunning()
      return found
    }, START_MS),
    stillRunning,
    exited,
    kill
  }
}
