import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { temporaryFolder } from './temporary-folder.js'
import type { Owner } from './teardown.js'
import { until } from './wait.js'

const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/**
 * Starts Debian's nginx with this text in its `http { }`, in its own folder and process. Resolves when it listens.
 *
 * @param port on which the configuration listens
 * @throws with nginx's message about the configuration
 */
export async function startNginx (t: Owner, program: string, http: string, port: number): Promise<void> {
  const folder = await temporaryFolder(t)
  // Otherwise its workers run as another user, which cannot read this folder.
  const user = process.getuid?.() === 0 ? 'user root;\n' : ''
  const paths = TEMPORARY.map((what) => `${what}_temp_path ${join(folder, what)};`).join('\n')
  await writeFile(
    join(folder, 'nginx.conf'),
    `${user}daemon off;\nworker_processes 1;\npid ${join(folder, 'pid')};\nevents { }\nhttp {\naccess_log off;\n${paths}\n${http}\n}\n`
  )

  const child = spawn(program, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (bytes: Buffer) => { said += bytes.toString() })
  const exited = once(child, 'close')
  t.teardown(async () => {
    child.kill('SIGTERM')
    await exited
  })
  await until('nginx to listen', () => {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${said}`)
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
