import { once } from 'node:events'
import { lstat, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { isSocketPath } from '../../config/config.js'
import { ConfigError } from '../../core/config-error.js'

/** Address to listen on, and the settings that define it. */
export interface Place {
  host: string
  port: number
  hostVariable: 'HOST' | 'OPS_HOST'
  portVariable: 'PORT' | 'OPS_PORT'
}

type Fault = readonly [variable: 'hostVariable' | 'portVariable', must: string]

/** The setting that each system error is about. */
const ofPorts: Record<string, Fault> = {
  EADDRINUSE: ['portVariable', 'be one that nobody listens on'],
  EACCES: ['portVariable', 'be one that this user may listen on'],
  EADDRNOTAVAIL: ['hostVariable', 'be an address of this machine'],
  ENOTFOUND: ['hostVariable', 'be an address of this machine'],
  EAI_AGAIN: ['hostVariable', 'be an address of this machine']
}
const ofSockets: Record<string, Fault> = {
  EADDRINUSE: ['hostVariable', 'be a path that no other process listens on, and where no other file is'],
  EACCES: ['hostVariable', 'be a path where this user may make a socket'],
  EPERM: ['hostVariable', 'be a path where this user may make a socket'],
  EROFS: ['hostVariable', 'be a path where this user may make a socket'],
  ENOENT: ['hostVariable', 'be a path in a folder that is there'],
  ENOTDIR: ['hostVariable', 'be a path in a folder that is there']
}

/**
 * Listens on a port or on a Unix socket, whose mode follows the umask.
 *
 * @throws {ConfigError} that names the setting
 */
export async function listen (app: FastifyInstance, { host, port, ...variables }: Place): Promise<void> {
  const isSocket = isSocketPath(host)
  const where = isSocket ? { path: host } : { port, host }
  if (isSocket) await removeDead(host)
  await app.listen(where).catch((error: unknown) => {
    const [variable, must] = (isSocket ? ofSockets : ofPorts)[(error as NodeJS.ErrnoException).code ?? ''] ?? []
    throw variable === undefined || must === undefined ? error : new ConfigError(variables[variable], must)
  })
}

/** Removes the socket of a process that was killed, if no process answers on it. Keeps any other kind of file. */
async function removeDead (path: string): Promise<void> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED' && await isSocketFile(path)) await unlink(path).catch(() => {})
  } finally {
    socket.destroy()
  }
}

async function isSocketFile (path: string): Promise<boolean> {
  return await lstat(path).then((file) => file.isSocket(), () => false)
}
