import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { listens } from './nginx.js'
import { temporaryFolder } from './temporary-folder.js'
import type { Owner } from './teardown.js'
import { until } from './wait.js'

/**
 * Starts Caddy with this site, in its own folder and process. Resolves when it listens.
 *
 * @param port on which the site listens
 * @throws with Caddy's message about the configuration
 */
export async function startCaddy (t: Owner, program: string, site: string, port: number): Promise<void> {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'Caddyfile')
  await writeFile(file, `{\n\tadmin off\n\tauto_https off\n}\n${site}`)
  const child = spawn(program, ['run', '--config', file, '--adapter', 'caddyfile'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
  })
  let said = ''
  child.stderr.on('data', (bytes: Buffer) => { said += bytes.toString() })
  const exited = once(child, 'close')
  t.teardown(async () => {
    child.kill('SIGTERM')
    await exited
  })
  await until('Caddy to listen', () => {
    if (child.exitCode !== null) throw new Error(`Caddy ended: ${said}`)
    return listens(port)
  })
}
