import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readlink, realpath, rm, rmdir, symlink, unlink } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { ConfigError } from '../../core/config-error.js'
import { codeOf, unless } from './data-dir.js'

/**
 * Lock of the embedded database: one process at a time.
 *
 * The holder listens on a Unix socket. The kernel closes the socket when the process ends, in any way. A pid in a file would
 * outlive `kill -9` and could name another process in the next container. *Claims* say which socket counts: symbolic links
 * DATA_DIR/lock/1, 2, 3… The highest claim is in force. To take the lock, a process checks that no socket answers at the
 * highest claim n, makes n+1, which the file system allows to one process only, and checks that n+1 is still the highest.
 * The highest claim is never removed, so a process with an old list can only make a claim that exists or is too low. A socket
 * listens before it is claimed, so "refused" always means that its process is dead. No step depends on time: a process that
 * is killed at any moment, also during these steps, blocks no other process.
 *
 * The lock works between processes of one kernel, also in different containers. It does not work between machines that mount
 * the same folder.
 */
export interface Lock {
  /** Hands over the connections of other processes, which `connectToHolder` opens. Until then they are closed. */
  onConnection (handle: (socket: Socket) => void): void
  /** The caller must have closed all connections. */
  release (): Promise<void>
}

export class DataDirInUseError extends Error {
  override readonly name = 'DataDirInUseError'

  constructor () {
    super('DATA_DIR is in use by another process: stop that one, choose another folder, or share a database through DATABASE_URL.')
  }
}

/** Longest path of a socket, in bytes: 107 on Linux, 103 on macOS. Node cuts longer paths off without an error. */
const SOCKET_PATH_BYTES = 103

/** Longest name in the folder: that of a socket, `s` and 12 hexadecimal digits. Claims are whole numbers and shorter. */
const SOCKET_NAME_BYTES = 13

/**
 * Takes the lock of an existing data directory, until `release` or the end of the process. The lock does not keep a process alive.
 *
 * @throws {DataDirInUseError} if a running process has the lock, this one included
 * @throws {ConfigError} if the folder's file system does not support sockets
 */
export async function takeLock (dataDir: string): Promise<Lock> {
  try {
    if (process.platform === 'win32') return await takePipe(dataDir)
    const folder = join(await realpath(dataDir), 'lock')
    await mkdir(folder, { recursive: true, mode: 0o700 })
    // The owner alone may connect.
    await chmod(folder, 0o700).catch(unless('EPERM'))
    return await throughShortPath(folder, (short) => takeClaim(folder, short))
  } catch (error) {
    if (error instanceof DataDirInUseError) throw error
    throw new ConfigError('DATA_DIR', `be a folder in which this process can make sockets and links (${codeOf(error)})`)
  }
}

/**
 * Connects to the process that has the lock.
 *
 * @returns undefined if there is none, or on Windows
 */
export async function connectToHolder (dataDir: string): Promise<Socket | undefined> {
  if (process.platform === 'win32') return undefined
  const folder = join(await realpath(dataDir), 'lock')
  return await throughShortPath(folder, async (short) => {
    const socket = connect(join(short, `${Math.max(0, ...await claimsIn(short))}`))
    return await once(socket, 'connect').then(() => socket, () => undefined)
  })
}

/** @param short path of the same folder, short enough for its sockets */
async function takeClaim (folder: string, short: string): Promise<Lock> {
  const socket = `s${randomBytes(6).toString('hex')}`
  const { server, onConnection } = await listen(join(short, socket))
  const release = async () => {
    if (server.listening) await new Promise((resolve) => server.close(resolve))
    await rm(join(folder, socket), { force: true })
  }
  try {
    const claim = await makeClaim(short, socket)
    await removeDead(short, claim)
    return { onConnection, release }
  } catch (error) {
    await release()
    throw error
  }
}

/** Makes the highest claim. Repeats only if another process made a claim meanwhile. */
async function makeClaim (folder: string, socket: string): Promise<number> {
  for (;;) {
    const highest = Math.max(0, ...await claimsIn(folder))
    if (highest > 0 && await answers(join(folder, `${highest}`))) throw new DataDirInUseError()
    const claim = highest + 1
    if (!await linked(socket, join(folder, `${claim}`))) continue
    if (Math.max(...await claimsIn(folder)) > claim) {
      await rm(join(folder, `${claim}`), { force: true })
      continue
    }
    // In some shared folders of virtual machines, a socket can be made but not reached.
    if (!await answers(join(folder, `${claim}`))) throw Object.assign(new Error('deaf socket'), { code: 'ECONNREFUSED' })
    return claim
  }
}

async function claimsIn (folder: string): Promise<number[]> {
  return (await readdir(folder)).filter((name) => /^[1-9][0-9]*$/.test(name)).map(Number)
}

/** Makes a claim. Returns false if another process has it. */
async function linked (socket: string, claim: string): Promise<boolean> {
  try {
    await symlink(socket, claim)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

/** Removes dead claims below a claim. A lower claim that answers belongs to a process that is about to remove it itself. */
async function removeDead (folder: string, below: number): Promise<void> {
  for (const claim of await claimsIn(folder)) {
    const path = join(folder, `${claim}`)
    if (claim >= below || await answers(path)) continue
    const socket = await readlink(path).catch(() => undefined)   // gone already
    if (socket !== undefined) await rm(join(folder, basename(socket)), { force: true })
    await rm(path, { force: true })
  }
}

/** True if a process listens there. Only a refused or missing socket means no: a full queue means a busy process. */
async function answers (path: string): Promise<boolean> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch (error) {
    return !['ECONNREFUSED', 'ENOENT'].includes(codeOf(error))
  } finally {
    socket.destroy()
  }
}

async function listen (path: string): Promise<{ server: Server } & Pick<Lock, 'onConnection'>> {
  let handle = (socket: Socket) => { socket.destroy() }
  const server = createServer((socket) => { handle(socket) })
  server.unref()
  server.listen({ path, exclusive: true })   // exclusive: never shared among the workers of a cluster
  await once(server, 'listening')
  server.on('error', () => {})   // a failed accept (EMFILE) still shows the caller that this process is alive
  return { server, onConnection (next) { handle = next } }
}

/**
 * Calls `use` with a path of `folder` that leaves room for the name of a socket: its own path, or that of a temporary link in
 * the temporary folder. Both paths lead to the same sockets, so processes need not use the same path.
 */
async function throughShortPath<T> (folder: string, use: (path: string) => Promise<T>): Promise<T> {
  if (fits(folder)) return await use(folder)
  const detour = await mkdtemp(join(tmpdir(), 'lock-'))
  const path = join(detour, 'd')
  try {
    if (!fits(path)) throw Object.assign(new Error('path too long'), { code: 'ENAMETOOLONG' })
    await symlink(folder, path)
    return await use(path)
  } finally {
    await unlink(path).catch(() => {})   // never made
    await rmdir(detour)
  }
}

function fits (folder: string): boolean {
  return Buffer.byteLength(folder) + 1 + SOCKET_NAME_BYTES <= SOCKET_PATH_BYTES
}

/** Takes the lock on Windows: a named pipe, which exists as long as its process. */
async function takePipe (dataDir: string): Promise<Lock> {
  const id = createHash('sha256').update((await realpath(dataDir)).toLowerCase()).digest('hex').slice(0, 32)
  try {
    const { server } = await listen(`\\\\.\\pipe\\countersign-${id}`)
    // Other users may open a pipe: nothing is handed over.
    return { onConnection () {}, release: async () => { await new Promise((resolve) => server.close(resolve)) } }
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') throw new DataDirInUseError()
    throw error
  }
}
