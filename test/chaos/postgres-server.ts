import { execFile, execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { freePort } from '../helpers/free-port.js'
import { until } from '../helpers/wait.js'
import type { Undo } from './stage.js'

/** Its own PostgreSQL, on a free port. It can be stopped, killed and frozen. */
export interface PostgresServer {
  readonly port: number
  /** Its data folder. */
  readonly data: string
  readonly url: string
  /** The postmaster. */
  pid (): number
  query (text: string, values?: unknown[]): Promise<Array<Record<string, unknown>>>
  /** `fast` ends sessions cleanly, `immediate` aborts without a checkpoint. */
  stop (mode: 'fast' | 'immediate'): Promise<void>
  /** Sends SIGKILL to the postmaster and all its children. */
  kill (): Promise<void>
  /** Sends SIGSTOP or SIGCONT to the postmaster and all its children. */
  freeze (): Promise<void>
  thaw (): Promise<void>
  start (): Promise<void>
}

/** The tests kill processes, not machines: the kernel keeps its cached pages, so a restart need not wait for the disk. */
export const IN_MEMORY = ['fsync=off']

const DEBIAN = '/usr/lib/postgresql'
/** Only a very busy machine needs so long. */
const READY_MS = 60_000
/** A new connection takes seconds on a busy machine. */
const CONNECT_MS = 10_000

/** Returns the folder of initdb and postgres; undefined if no server is installed. */
export async function postgresPrograms (): Promise<string | undefined> {
  const versions = await readdir(DEBIAN).catch(() => [])
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0]
  return newest === undefined ? undefined : join(DEBIAN, newest, 'bin')
}

/** Postgres refuses to run as root. */
export function asPostgres (program: string, args: string[]): [string, string[]] {
  return userInfo().uid === 0 ? ['runuser', ['-u', 'postgres', '--', program, ...args]] : [program, args]
}

/** @param from data folder to copy; if absent, creates an empty one */
export async function startPostgres (undo: Undo, options: string[] = [], from?: string): Promise<PostgresServer> {
  const programs = await postgresPrograms()
  if (programs === undefined) throw new Error('needs the programs of a PostgreSQL server')
  const data = join(await folderForPostgres(undo), 'data')
  if (from === undefined) await initialise(programs, data)
  else execFileSync('cp', ['-a', '--reflink=auto', from, data])
  return await runPostgres(undo, programs, data, options)
}

/** Returns a folder in which the user of the server can write. */
export async function folderForPostgres (undo: Undo): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-postgres-'))
  await chmod(folder, 0o777)
  undo(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function initialise (programs: string, data: string): Promise<void> {
  const made = spawnSync(
    ...asPostgres(join(programs, 'initdb'), ['-D', data, '-U', 'postgres', '--auth=trust', '--no-sync', '-E', 'UTF8']),
    { encoding: 'utf8' }
  )
  if (made.status !== 0) throw new Error(made.stderr)
}

/** Starts a server on an existing data folder. */
export async function runPostgres (undo: Undo, programs: string, data: string, options: string[] = []): Promise<PostgresServer> {
  const port = await freePort()
  let child: ChildProcess | undefined
  let postmaster = 0

  const server: PostgresServer = {
    port,
    data,
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    pid: () => postmaster,

    async query (text, values = []) {
      const client = new pg.Client({ connectionString: server.url, connectionTimeoutMillis: CONNECT_MS })
      client.on('error', () => {})
      await client.connect()
      try {
        return (await client.query(text, values)).rows as Array<Record<string, unknown>>
      } finally {
        await client.end().catch(() => {})
      }
    },

    async start () {
      const args = [
        '-D', data, '-p', String(port), '-k', '', '-c', 'listen_addresses=127.0.0.1',
        ...options.flatMap((option) => ['-c', option])
      ]
      child = spawn(...asPostgres(join(programs, 'postgres'), args), { stdio: 'ignore' })
      await until('a PostgreSQL of our own', () => server.query('select 1').then(() => true, () => false), READY_MS)
      postmaster = child.pid!
      if (userInfo().uid === 0) postmaster = (await familyOf(child.pid!))[1] ?? child.pid!
    },

    async stop (mode) {
      const exited = once(child!, 'exit')
      process.kill(postmaster, mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
      await exited
    },

    async kill () {
      const exited = once(child!, 'exit')
      const all = await familyOf(postmaster)
      for (const pid of all) signal(pid, 'SIGKILL')
      await exited
      await until('all of it to be gone', () => all.every((pid) => !signal(pid, 0)), READY_MS)
    },

    async freeze () { for (const pid of await familyOf(postmaster)) signal(pid, 'SIGSTOP') },
    // The parent that runs the server as another user was stopped with it.
    async thaw () { for (const pid of [...await familyOf(postmaster), child?.pid ?? postmaster]) signal(pid, 'SIGCONT') }
  }
  undo(async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    await server.thaw()
    await server.stop('immediate')
  })
  await server.start()
  return server
}

/** Adds a streaming replica. The primary then answers a commit only after the replica has it. */
export async function addSynchronousStandby (undo: Undo, primary: PostgresServer): Promise<PostgresServer> {
  const programs = (await postgresPrograms())!
  const data = join(await folderForPostgres(undo), 'data')
  const args = ['-d', primary.url, '-D', data, '-R', '-X', 'stream', '-c', 'fast', '--no-sync']
  const copied = spawnSync(...asPostgres(join(programs, 'pg_basebackup'), args), { encoding: 'utf8' })
  if (copied.status !== 0) throw new Error(copied.stderr)
  const standby = await runPostgres(undo, programs, data, IN_MEMORY)
  await primary.query("alter system set synchronous_standby_names = '*'")
  await primary.query('select pg_reload_conf()')
  await until(
    'the standby to be synchronous',
    async () => (await primary.query("select from pg_stat_replication where sync_state = 'sync'")).length === 1,
    READY_MS
  )
  return standby
}

/** Turns a cleanly stopped former primary into a standby of the promoted server. */
export async function demote (server: PostgresServer, primary: PostgresServer): Promise<void> {
  const { port } = new URL(primary.url)
  await appendFile(join(server.data, 'postgresql.auto.conf'), `primary_conninfo = 'host=127.0.0.1 port=${port} user=postgres'\n`)
  await writeFile(join(server.data, 'standby.signal'), '')
  await server.start()
}

/**
 * Returns a process and all its descendants, parents first. One call without a wait: a load that pauses here would send its
 * requests in one burst.
 */
async function familyOf (eldest: number): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-eo', 'pid=,ppid='])
  const pairs = stdout.trim().split('\n').map((line) => line.trim().split(/\s+/).map(Number) as [pid: number, parent: number])
  const family = [eldest]
  for (const parent of family) family.push(...pairs.filter(([, of]) => of === parent).map(([pid]) => pid))
  return family
}

/** Returns false if there is no such process. */
function signal (pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name)
  } catch {
    return false
  }
}
