import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startGateway } from './gateway-program.js'
import type { Owner } from './teardown.js'
import { temporaryFolder } from './temporary-folder.js'

const MODULES = '/usr/lib/apache2/modules'
const NAMES = ['mpm_event', 'authz_core', 'lua', 'proxy', 'proxy_http']

/** Starts Debian's Apache with this site and script, in its own folder and process. @param port on which the site listens */
export async function startApache (t: Owner, program: string, site: string, script: string, port: number): Promise<void> {
  const folder = await temporaryFolder(t)
  // It reads the script as another user, at each request.
  await chmod(folder, 0o755)
  await writeFile(join(folder, 'second-factor.lua'), script)
  const file = join(folder, 'apache2.conf')
  await writeFile(file, [
    `ServerRoot ${folder}`,
    'ServerName localhost',
    `PidFile ${join(folder, 'pid')}`,
    `DefaultRuntimeDir ${folder}`,
    `ErrorLog ${join(folder, 'error.log')}`,
    `Listen 127.0.0.1:${port}`,
    // Apache does not run as root.
    ...process.getuid?.() === 0 ? ['User #65534', 'Group #65534'] : [],
    ...NAMES.map((name) => `LoadModule ${name}_module ${join(MODULES, `mod_${name}.so`)}`),
    site.replace('/etc/apache2/second-factor.lua', join(folder, 'second-factor.lua'))
  ].join('\n'))
  await startGateway(t, program, ['-X', '-f', file], port)
}
