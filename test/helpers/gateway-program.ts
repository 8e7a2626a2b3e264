import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Owner } from './teardown.js'
import { until } from './wait.js'

/**
 * Starts a gateway in its own process. Resolves when it listens.
 *
 * @param port on which its configuration listens
 * @throws with the program's message about the configuration
 */
export async function startGateway (
  t: Owner, program: string, args: string[], port: number, env: Record<string, string> = {}
): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  let said = ''
  for (const output of [child.stdout, child.stderr]) output.on('data', (bytes: Buffer) => { said += bytes.toString() })
  const exited = once(child, 'close')
  t.teardown(async () => {
    child.kill('SIGTERM')
    await exited
  })
  await until(`${program} to listen`, () => {
    if (child.exitCode !== null) throw new Error(`${program} ended: ${said}`)
    return listens(port)
  })
}

/** Returns true if a program listens on a port of this machine. */
export async function listens (port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
