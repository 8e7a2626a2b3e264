import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { freePort } from './free-port.js'
import type { Owner } from './teardown.js'
import { temporaryFolder } from './temporary-folder.js'

/** A Redis server of the test itself, without persistence. The test can kill, pause and flush it. */
export interface RedisServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** Sends SIGKILL; then the port refuses connections. */
  kill (): Promise<void>
  /** Starts it again, empty, on the same port; kills it first if it runs. */
  restart (): Promise<void>
  /** Sends SIGSTOP: connections stay open without answers. */
  pause (): void
  resume (): void
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/** @param extraArgs for example `['--maxmemory', '1']`. */
export async function startRedisServer (t: Owner, extraArgs: string[] = []): Promise<RedisServer> {
  const port = await freePort()
  const folder = await temporaryFolder(t)
  let child = await spawnServer(port, folder, extraArgs)

  async function kill (): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  t.teardown(kill)
  return {
    url: `redis://127.0.0.1:${port}/0`,
    port,
    get pid () { return child.pid as number },
    kill,
    async restart () {
      await kill()
      child = await spawnServer(port, folder, extraArgs)
    },
    pause () { child.kill('SIGSTOP') },
    resume () { child.kill('SIGCONT') }
  }
}

/** Resolves when the server accepts connections; rejects with its output if it ends before. */
async function spawnServer (port: number, folder: string, extraArgs: string[]): Promise<ChildProcess> {
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder, ...extraArgs]
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] })
  running.add(child)
  child.once('exit', () => running.delete(child))
  await new Promise<void>((resolve, reject) => {
    let said = ''
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`redis-server ended with ${code}: ${said}`)))
    child.stdout.on('data', (bytes: Buffer) => {
      said += bytes.toString()
      if (said.includes('Ready to accept connections')) resolve()
    })
  })
  return child
}
