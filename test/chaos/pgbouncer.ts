import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { freePort } from '../helpers/free-port.js'
import { findProgram } from '../helpers/programs.js'
import { until } from '../helpers/wait.js'
import { asPostgres } from './postgres-server.js'
import type { Undo } from './stage.js'

export interface Pgbouncer {
  readonly port: number
  /** Returns the address of the same database, through the pooler. */
  url (direct: string): string
}

/** Connections to Postgres per database, as in docs/operations.md: fewer than two replicas have, so that they share them. */
const POOL_SIZE = 20
/** `connect_query` of docs/operations.md. */
export const AS_DOCUMENTED = 'set statement_timeout = 1300; set idle_in_transaction_session_timeout = 2000'
/** The same without the limit for idle transactions: tests keep some open longer than the service does. */
const ON_CONNECT = 'set statement_timeout = 1300'

/**
 * Starts a pooler in transaction mode, in front of all databases of one server.
 *
 * @param onConnect statements that it runs on each connection to PostgreSQL; may be none
 */
export async function startPgbouncer (undo: Undo, server: string, onConnect = ON_CONNECT): Promise<Pgbouncer> {
  const { hostname, port: serverPort, username } = new URL(server)
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'countersign-pgbouncer-'))
  undo(() => rm(folder, { recursive: true, force: true }))
  const users = join(folder, 'users.txt')
  const config = join(folder, 'pgbouncer.ini')
  await writeFile(users, `"${username}" ""\n`)
  await writeFile(config, [
    '[databases]', `* = host=${hostname} port=${serverPort || 5432}${onConnect === '' ? '' : ` connect_query='${onConnect}'`}`,
    '[pgbouncer]', 'listen_addr = 127.0.0.1', `listen_port = ${port}`, 'unix_socket_dir =', 'auth_type = trust', `auth_file = ${users}`,
    'pool_mode = transaction', `default_pool_size = ${POOL_SIZE}`, 'max_client_conn = 2000',
    'autodb_idle_timeout = 1', 'server_idle_timeout = 5', ''
  ].join('\n'))
  for (const path of [folder, users, config]) await chmod(path, 0o755)

  // pgbouncer refuses to run as root too.
  const child = spawn(...asPostgres(findProgram('pgbouncer') ?? 'pgbouncer', [config]), { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr!.on('data', (bytes: Buffer) => { said = (said + bytes.toString()).slice(-4_000) })
  undo(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    // Goes to the program that runs pgbouncer as another user, which forwards the signal.
    child.kill('SIGTERM')
    await exited
  })
  const bouncer: Pgbouncer = {
    port,
    url (direct) {
      const address = new URL(direct)
      address.hostname = '127.0.0.1'
      address.port = String(port)
      return address.href
    }
  }
  await until('pgbouncer to answer', async () => {
    if (child.exitCode !== null) throw new Error(said)
    const client = new pg.Client({ connectionString: bouncer.url(server), connectionTimeoutMillis: 1_000 })
    try {
      await client.connect()
      await client.query('select 1').finally(() => client.end())
      return true
    } catch {
      return false
    }
  })
  return bouncer
}
