import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readlink, realpath, rm, rmdir, symlink, unlink } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { ConfigError } from '../../core/config-error.js'
import { codeOf } from './data-dir.js'

/**
 * The lock of the embedded database: one process at a time.
 *
 * The holder listens on a Unix socket. Only the kernel can end that, and it does so
 * with the process, however that ends; a pid in a file would outlive `kill -9` and
 * name a stranger in the next container. Which socket counts is said by *claims*:
 * symbolic links DATA_DIR/lock/1, 2, 3… The highest claim is the one in force.
 * To take the lock: see that nobody answers at the highest claim n, then make n+1,
 * which the file system lets one process do; then see that n+1 is still the highest.
 * The highest claim is never removed, so a process that read an old list can only
 * make a claim that exists or is too low. A socket listens before it is claimed, so
 * "refused" always means dead. Nothing is timed: a process killed at any moment,
 * also in here, keeps nobody waiting.
 *
 * It sees processes of one kernel, in whatever container; it does not see another
 * machine that mounts the same folder.
 */
export interface Lock { release (): Promise<void> }

export class DataDirInUseError extends Error {
  override readonly name = 'DataDirInUseError'

  constructor () {
    super('DATA_DIR is in use by another process: stop that one, choose another folder, or share a database through DATABASE_URL.')
  }
}

/** Longest path of a socket, in bytes: 107 on Linux, 103 on macOS. Node cuts longer ones off without a word. */
const SOCKET_PATH_BYTES = 103

/** Claims are whole numbers, so no name in the folder is longer than that of a socket: `s` and 12 hexadecimal digits. */
const SOCKET_NAME_BYTES = 13

/**
 * Takes the lock of a data directory that exists, until `release` or the end of the process. It keeps no process alive.
 *
 * @throws {DataDirInUseError} if a living process has it, this one included
 * @throws {ConfigError} if the folder's file system knows no sockets
 */
export async function takeLock (dataDir: string): Promise<Lock> {
  try {
    if (process.platform === 'win32') return await takePipe(dataDir)
    const folder = join(await realpath(dataDir), 'lock')
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return await throughShortPath(folder, (short) => takeClaim(folder, short))
  } catch (error) {
    if (error instanceof DataDirInUseError) throw error
    throw new ConfigError('DATA_DIR', `be a folder in which this process can make sockets and links (${codeOf(error)})`)
  }
}

/** @param short a path of the same folder by which its sockets can be reached */
async function takeClaim (folder: string, short: string): Promise<Lock> {
  const socket = `s${randomBytes(6).toString('hex')}`
  const server = await listen(join(short, socket))
  const release = async () => {
    if (server.listening) await new Promise((resolve) => server.close(resolve))
    await rm(join(folder, socket), { force: true })
  }
  try {
    const claim = await makeClaim(short, socket)
    await removeDead(short, claim)
    return { release }
  } catch (error) {
    await release()
    throw error
  }
}

/** Goes round again only when another process has moved on meanwhile. */
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
    // Some shared folders of virtual machines make sockets that nobody can reach.
    if (!await answers(join(folder, `${claim}`))) throw Object.assign(new Error('deaf socket'), { code: 'ECONNREFUSED' })
    return claim
  }
}

async function claimsIn (folder: string): Promise<number[]> {
  return (await readdir(folder)).filter((name) => /^[1-9][0-9]*$/.test(name)).map(Number)
}

/** False if the claim is somebody else's. */
async function linked (socket: string, claim: string): Promise<boolean> {
  try {
    await symlink(socket, claim)
    return true
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false
    throw error
  }
}

/** A claim that answers belongs to a process that is about to see that it came too late; it tidies up after itself. */
async function removeDead (folder: string, below: number): Promise<void> {
  for (const claim of await claimsIn(folder)) {
    const path = join(folder, `${claim}`)
    if (claim >= below || await answers(path)) continue
    const socket = await readlink(path).catch(() => undefined)   // gone already
    if (socket !== undefined) await rm(join(folder, basename(socket)), { force: true })
    await rm(path, { force: true })
  }
}

/** Whether a process listens there. Anything but a clear "nobody" counts as yes: a full queue is a busy process. */
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

async function listen (path: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy())
  server.unref()
  server.listen({ path, exclusive: true })   // exclusive: never shared among the workers of a cluster
  await once(server, 'listening')
  server.on('error', () => {})   // an accept that fails (EMFILE) has still told the caller that we live
  return server
}

/**
 * Calls `use` with a path of `folder` that leaves room for a socket's name: its own, or that of a passing link in
 * the temporary folder. The sockets are the same ones by either path, so processes need not agree on it.
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

/** Windows: a named pipe, which exists exactly as long as its process. */
async function takePipe (dataDir: string): Promise<Lock> {
  const id = createHash('sha256').update((await realpath(dataDir)).toLowerCase()).digest('hex').slice(0, 32)
  try {
    const server = await listen(`\\\\.\\pipe\\countersign-${id}`)
    return { release: async () => { await new Promise((resolve) => server.close(resolve)) } }
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') throw new DataDirInUseError()
    throw error
  }
}
