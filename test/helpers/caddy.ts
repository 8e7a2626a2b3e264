import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startGateway } from './gateway-program.js'
import type { Owner } from './teardown.js'
import { temporaryFolder } from './temporary-folder.js'

/** Starts Caddy with this site, in its own folder and process. @param port on which the site listens */
export async function startCaddy (t: Owner, program: string, site: string, port: number): Promise<void> {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'Caddyfile')
  await writeFile(file, `{\n\tadmin off\n\tauto_https off\n}\n${site}`)
  const env = { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
  await startGateway(t, program, ['run', '--config', file, '--adapter', 'caddyfile'], port, env)
}
