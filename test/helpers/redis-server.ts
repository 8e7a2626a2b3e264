import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

/** A Redis of the test's own, without persistence: it may be killed, paused and flushed. */
export interface RedisServer {
  readonly url: string
  readonly port: number
  readonly pid: number
  /** SIGKILL; the port refuses from then on. */
  kill (): Promise<void>
  /** Starts it again, empty, on the same port; kills it first if it runs. */
  restart (): Promise<void>
  /** SIGSTOP: connections stay open and nothing answers. */
  pause (): void
  resume (): void
  /** Kills it and removes its folder. */
  stop (): Promise<void>
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export function hasRedisServer (): boolean {
  return spawnSync('redis-server', ['--version']).status === 0
}

/** A port that was free a moment ago. */
export async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** @param extraArgs for example `['--maxmemory', '1']`. */
export async function startRedisServer (t?: Test, extraArgs: string[] = []): Promise<RedisServer> {
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'countersign-redis-'))
  let child = await spawnServer(port, folder, extraArgs)

  async function kill (): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }

  async function stop (): Promise<void> {
    await kill()
    await rm(folder, { recursive: true, force: true })
  }

  t?.teardown(stop)
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
    resume () { child.kill('SIGCONT') },
    stop
  }
}

/** Resolves when the server says that it accepts connections; rejects with what it said if it ends before. */
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
