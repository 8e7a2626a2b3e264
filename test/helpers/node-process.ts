import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Owner } from './teardown.js'
import { until } from './wait.js'

const START_MS = 60_000

/** A Node program in its own process. A test can give it wrong input, read its output and kill it. */
export interface NodeProcess {
  readonly child: ChildProcess
  /** Returns the output so far, of both streams. */
  said (): string
  /** Resolves with the first group of the pattern when it appears in the output. @throws with the output, if the process ends before */
  saying (pattern: RegExp, what: string): Promise<string>
  /** @throws with the output, if the process has ended */
  stillRunning (): void
  /** The exit code; null after a signal. */
  readonly exited: Promise<number | null>
  kill (signal: NodeJS.Signals): Promise<number | null>
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** True if there is a process with this id. */
export function isRunning (pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Starts it with only these variables. Killed at the end of the test. */
export function startNode (t: Owner, args: string[], env: Record<string, string>, cwd = process.cwd()): NodeProcess {
  return startProgram(t, process.execPath, args, env, cwd)
}

/** The same for another program, such as npm. A process that the program starts is not killed with it. */
export function startProgram (t: Owner, program: string, args: string[], env: Record<string, string>, cwd: string): NodeProcess {
  const child = spawn(program, args, { cwd, env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
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
