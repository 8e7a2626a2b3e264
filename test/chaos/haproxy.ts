import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../helpers/free-port.js'
import { findProgram } from '../helpers/programs.js'
import { until } from '../helpers/wait.js'
import type { PostgresServer } from './postgres-server.js'
import type { Undo } from './stage.js'

export interface Haproxy {
  readonly port: number
  /** States of its servers, as HAProxy sees them: UP, DOWN, or in transition. */
  states (): Promise<string[]>
}

/** Starts one listener on a free port of 127.0.0.1. @param lines its section, without `bind` */
export async function startHaproxy (undo: Undo, lines: string[]): Promise<Haproxy> {
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'countersign-haproxy-'))
  undo(() => rm(folder, { recursive: true, force: true }))
  const config = join(folder, 'haproxy.cfg')
  const socket = join(folder, 'socket')
  await writeFile(config, [
    'global', '  maxconn 4000', '  nbthread 1', `  stats socket ${socket}`,
    'defaults', '  timeout connect 1s', '  timeout client 60s', '  timeout server 60s',
    'listen front', `  bind 127.0.0.1:${port}`, ...lines.map((line) => `  ${line}`), ''
  ].join('\n'))
  const child = spawn(findProgram('haproxy') ?? 'haproxy', ['-db', '-f', config], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const output of [child.stdout, child.stderr]) {
    output.on('data', (bytes: Buffer) => { said = (said + bytes.toString()).slice(-4_000) })
  }
  undo(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  })
  await until('haproxy to listen', async () => {
    if (child.exitCode !== null) throw new Error(said)
    const client = connect(port, '127.0.0.1')
    const opened = await once(client, 'connect').then(() => true, () => false)
    client.destroy()
    return opened
  })
  return {
    port,
    async states () {
      const client = connect(socket)
      client.end('show stat\n')
      const lines = (await text(client)).trim().split('\n').map((line) => line.split(','))
      const at = lines[0]!.indexOf('status')
      return lines.filter(([, server]) => !['svname', 'FRONTEND', 'BACKEND'].includes(server ?? '')).map((fields) => fields[at]!)
    }
  }
}

/**
 * Starts HAProxy in front of several PostgreSQL servers. It forwards to the server that accepts writes, as in a Patroni setup.
 * A server that is no longer the primary loses its connections at once.
 */
export async function frontPostgres (undo: Undo, servers: PostgresServer[]): Promise<Haproxy> {
  const lines = await Promise.all(
    servers.map(async (server, i) => `server pg${i} 127.0.0.1:${server.port} check port ${await answerWhetherPrimary(undo, server)}`)
  )
  return await startHaproxy(undo, [
    'mode tcp', 'retries 0', 'option httpchk GET /',
    // Each check opens a new connection to PostgreSQL. On a busy machine that takes longer than the interval between two
    // checks.
    'timeout check 2s', 'default-server inter 400ms fastinter 100ms fall 2 rise 1 on-marked-down shutdown-sessions', ...lines
  ])
}

/** Answers 200 if the PostgreSQL server accepts writes, like Patroni's agent. @returns the port */
async function answerWhetherPrimary (undo: Undo, { query }: PostgresServer): Promise<number> {
  const agent = createServer((_request, response) => {
    query('select pg_is_in_recovery() as standby').then(([row]) => row?.['standby'] === false, () => false)
      .then((isPrimary) => { response.writeHead(isPrimary ? 200 : 503).end() }, () => {})
  })
  agent.listen(0, '127.0.0.1')
  await once(agent, 'listening')
  undo(() => {
    agent.close()
    agent.closeAllConnections()
  })
  return (agent.address() as AddressInfo).port
}

/** Starts HAProxy in front of replicas of the service. It checks `/readyz`, and tries another replica if a connection is refused. */
export async function frontService (undo: Undo, bases: string[]): Promise<Haproxy> {
  return await startHaproxy(undo, [
    'mode http', 'balance roundrobin', 'option httpchk GET /readyz', 'retries 3', 'option redispatch 1', 'retry-on conn-failure',
    'timeout check 2s', 'default-server inter 500ms fall 3 rise 1',
    ...bases.map((base, i) => `server app${i} ${new URL(base).host} check`)
  ])
}
