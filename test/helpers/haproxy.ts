import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startGateway } from './gateway-program.js'
import type { Owner } from './teardown.js'
import { temporaryFolder } from './temporary-folder.js'

/** Starts HAProxy with this configuration and script, in its own folder and process. @param port on which the configuration listens */
export async function startHaproxy (t: Owner, program: string, configuration: string, script: string, port: number): Promise<void> {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'second-factor.lua'), script)
  const file = join(folder, 'haproxy.cfg')
  await writeFile(file, configuration.replace('/etc/haproxy/second-factor.lua', join(folder, 'second-factor.lua')) + '\n')
  await startGateway(t, program, ['-db', '-f', file], port)
}
