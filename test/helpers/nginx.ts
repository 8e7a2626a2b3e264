import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startGateway } from './gateway-program.js'
import type { Owner } from './teardown.js'
import { temporaryFolder } from './temporary-folder.js'

const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/** Starts Debian's nginx with this text in its `http { }`, in its own folder and process. @param port on which the text listens */
export async function startNginx (t: Owner, program: string, http: string, port: number): Promise<void> {
  const folder = await temporaryFolder(t)
  // Otherwise its workers run as another user, which cannot read this folder.
  const user = process.getuid?.() === 0 ? 'user root;\n' : ''
  const paths = TEMPORARY.map((what) => `${what}_temp_path ${join(folder, what)};`).join('\n')
  await writeFile(
    join(folder, 'nginx.conf'),
    `${user}daemon off;\nworker_processes 1;\npid ${join(folder, 'pid')};\nevents { }\nhttp {\naccess_log off;\n${paths}\n${http}\n}\n`
  )
  await startGateway(t, program, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], port)
}
