import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { until } from './wait.js'

const SERVER = join(import.meta.dirname, '../../src/server.js')
/** PGlite needs some seconds to be made, more of them where others test too. */
const START_MS = 60_000

/** `npm start`, to be started wrongly, read and killed. Where it only has to run, `startService` is simpler. */
export interface ServerProcess {
  readonly pid: number
  /** All that it wrote so far, to both outputs. */
  said (): string
  /** Resolves with its address once it listens. @throws with what it said, if it ends before */
  listening (): Promise<string>
  /** The exit code; null after a signal. */
  readonly exited: Promise<number | null>
  kill (signal: NodeJS.Signals): Promise<number | null>
}

const running = new Set<{ kill (signal: NodeJS.Signals): boolean }>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** With these settings and no others; on any free port unless told. */
export function startServer (t: Pick<Test, 'teardown'>, settings: Record<string, string>): ServerProcess {
  const child = spawn(process.execPath, [SERVER], { env: { PATH: process.env['PATH'], PORT: '0', ...settings }, stdio: ['ignore', 'pipe', 'pipe'] })
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
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null

  return {
    pid: child.pid as number,
    said: () => said,
    exited,
    kill,
    async listening () {
      const address = await until('the service to listen', () => /Server listening at (http:\/\/[^"]+)/.exec(said)?.[1] ?? hasEnded(), START_MS)
      if (address === true) throw new Error(`It ended: ${said}`)
      return String(address)
    }
  }
}

/** A folder that does not exist yet, in one that goes at the end. */
export async function freshFolder (t: Pick<Test, 'teardown'>): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'countersign-server-'))
  t.teardown(() => rm(parent, { recursive: true, force: true, maxRetries: 5 }))
  return join(parent, 'data')
}

/** JSON in, status and text out, over a real connection. */
export async function call (base: string, method: string, path: string, { body, access }: { body?: object, access?: string | null } = {}) {
  const answer = await fetch(base + path, {
    method,
    headers: { ...(body ? { 'content-type': 'application/json' } : {}), ...(access ? { authorization: `Bearer ${access}` } : {}) },
    ...(body ? { body: JSON.stringify(body) } : {})
  })
  const text = await answer.text()
  return { status: answer.status, headers: answer.headers, text, json: () => JSON.parse(text) }
}
