import { execFile } from 'node:child_process'
import { chmod, chown, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import PostalMime from 'postal-mime'
import { freePort } from '../helpers/free-port.js'
import type { Owner } from '../helpers/teardown.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/wait.js'

const run = promisify(execFile)
/** User `nobody` of Debian: Postfix delivers as no other that is root. */
const NOBODY = 65_534

export interface Postfix {
  /** Accepts mails over STARTTLS alone. */
  url: string
  /** Certificate of the authority, made here. */
  caFile: string
  /** Waits for the next mail in a user's Maildir, and returns its raw text. */
  next (user: string): Promise<{ raw: string, text: string }>
  /** Number of mails that were delivered to a user and not taken. */
  waiting (user: string): Promise<number>
  /** What Postfix logged. */
  log (): Promise<string>
}

/** Makes an authority, and a certificate of it for localhost. */
async function certificates (folder: string): Promise<void> {
  const openssl = (...args: string[]) => run('openssl', args, { cwd: folder })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  await openssl('req', '-x509', ...key, '-days', '2', '-subj', '/CN=An authority of our own', '-keyout', 'ca.key', '-out', 'ca.pem')
  await openssl('req', ...key, '-subj', '/CN=localhost', '-keyout', 'server.key', '-out', 'server.csr')
  await writeFile(join(folder, 'extensions'), 'subjectAltName=DNS:localhost\n')
  await openssl('x509', '-req', '-in', 'server.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2',
    '-extfile', 'extensions', '-out', 'server.pem')
}

const settingsOf = (folder: string, users: readonly string[]) => `
compatibility_level = 3.6
queue_directory = ${folder}/queue
data_directory = ${folder}/data
maillog_file = ${folder}/postfix.log
maillog_file_prefixes = ${folder}
mail_owner = postfix
myhostname = localhost.example.org
mydestination =
alias_maps =
inet_interfaces = loopback-only
inet_protocols = ipv4
virtual_mailbox_domains = example.org
virtual_mailbox_base = ${folder}/mail
virtual_mailbox_maps = inline:{ ${users.map((user) => `{ ${user}@example.org = ${user}/ }`).join(' ')} }
virtual_uid_maps = static:${NOBODY}
virtual_gid_maps = static:${NOBODY}
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = ${folder}/server.pem
smtpd_tls_key_file = ${folder}/server.key
smtpd_tls_received_header = yes
smtpd_relay_restrictions = reject_unauth_destination
`

const services = (port: number) => `
127.0.0.1:${port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
`

/** Starts Debian's Postfix with a folder of its own, beside any other of the machine. Needs root. */
export async function startPostfix (t: Owner, users: readonly string[]): Promise<Postfix> {
  const folder = await temporaryFolder(t)
  await chmod(folder, 0o755)
  await certificates(folder)
  for (const name of ['queue', 'data', 'mail']) await mkdir(join(folder, name))
  await run('chown', ['postfix', join(folder, 'data')])
  await chown(join(folder, 'mail'), NOBODY, NOBODY)
  const port = await freePort()
  await writeFile(join(folder, 'main.cf'), settingsOf(folder, users))
  await writeFile(join(folder, 'master.cf'), services(port))
  t.teardown(() => run('postfix', ['-c', folder, 'stop']))
  await run('postfix', ['-c', folder, 'start'])

  const arrived = (user: string) => readdir(join(folder, 'mail', user, 'new')).catch(() => [])
  const taken = new Set<string>()
  const fresh = async (user: string) => (await arrived(user)).filter((name) => !taken.has(name))
  return {
    url: `smtp://localhost:${port}`,
    caFile: join(folder, 'ca.pem'),
    async next (user) {
      const name = await until(`a mail to ${user}`, async () => (await fresh(user))[0])
      taken.add(name)
      const raw = await readFile(join(folder, 'mail', user, 'new', name), 'utf8')
      return { raw, text: (await PostalMime.parse(raw)).text ?? '' }
    },
    waiting: async (user) => (await fresh(user)).length,
    log: () => readFile(join(folder, 'postfix.log'), 'utf8').catch(() => '')
  }
}
