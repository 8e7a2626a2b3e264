import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../helpers/free-port.js'
import { startRedisServer, type RedisServer } from '../helpers/redis-server.js'
import type { Owner } from '../helpers/teardown.js'
import { temporaryFolder } from '../helpers/temporary-folder.js'
import { until } from '../helpers/wait.js'
import { redisCli } from './redis-cli.js'

const MASTERS = 3
const SENTINELS = 3
/** Time without an answer until the other nodes regard a node as dead. */
const NODE_TIMEOUT_MS = 2_000
const READY_MS = 30_000

export interface Cluster {
  /** For REDIS_URL. */
  url: string
  nodes: RedisServer[]
  /** Returns the master that has the keys of a user, and its replica. */
  keepersOf (userId: string): Promise<{ master: RedisServer, replica: RedisServer }>
}

/** Starts three masters with one replica each, on loopback. A replica takes over even with old data. */
export async function startCluster (t: Owner): Promise<Cluster> {
  const nodes = await Promise.all(Array.from({ length: 2 * MASTERS }, async () => await startRedisServer(t, [
    '--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf', '--cluster-node-timeout', String(NODE_TIMEOUT_MS),
    '--cluster-port', String(await freePort()), '--cluster-replica-validity-factor', '0'
  ])))
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`)
  await redisCli(nodes[0]!.port, '--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes')
  await until('the cluster to be whole', async () => {
    const infos = await Promise.all(
      nodes.map(async ({ port }) => await redisCli(port, 'CLUSTER', 'INFO') + await redisCli(port, 'INFO', 'replication'))
    )
    return infos.every((info) => info.includes('cluster_state:ok')) &&
      infos.filter((info) => info.includes('master_link_status:up')).length === MASTERS
  }, READY_MS)

  return {
    url: `redis+cluster://${addresses.join(',')}`,
    nodes,
    async keepersOf (userId) {
      const slot = Number(await redisCli(nodes[0]!.port, 'CLUSTER', 'KEYSLOT', `{${userId}}`))
      const known = readNodes(await redisCli(nodes[0]!.port, 'CLUSTER', 'NODES'))
      const master = known.find(({ slots }) => slots.some(([first, last]) => first <= slot && slot <= last))
      const replica = known.find(({ masterId }) => masterId === master?.id)
      const byPort = (port?: number) => nodes.find((node) => node.port === port) as RedisServer
      return { master: byPort(master?.port), replica: byPort(replica?.port) }
    }
  }
}

/** Parses lines of `<id> <ip:port@busport[,name]> <flags> <master's id or -> <ping> <pong> <epoch> <link> <slot> …`. */
function readNodes (text: string) {
  return text.split('\n').map((line) => {
    const [id, address = '', , masterId, , , , , ...slots] = line.split(' ')
    return {
      id,
      port: Number(/:(\d+)@/.exec(address)?.[1]),
      masterId,
      slots: slots.map((range) => range.split('-').map(Number)).map(([first = NaN, last = first]) => [first, last] as const)
    }
  })
}

/** Waits until a replica has become a master and serves. */
export async function promoted ({ port }: RedisServer): Promise<void> {
  await until('the replica to take over', async () =>
    (await redisCli(port, 'ROLE')).startsWith('master') && (await redisCli(port, 'CLUSTER', 'INFO')).includes('cluster_state:ok'), READY_MS)
}

/**
 * Returns the number of cross-slot errors that the running servers counted. No command of the circuit breaker, the limits or
 * the Redis cache may use two slots.
 */
export async function crossSlotErrors (nodes: RedisServer[]): Promise<number> {
  const infos = await Promise.all(nodes.map(({ port }) => redisCli(port, 'INFO', 'errorstats').catch(() => '')))
  return infos.filter((info) => info.includes('CROSSSLOT')).length
}

export interface Watched {
  /** For REDIS_URL. */
  url: string
  master: RedisServer
  /** Waits until the Sentinels name another master. */
  failedOver (): Promise<void>
}

/** Starts a master, its replica, and three Sentinels that watch them. */
export async function startSentinels (t: Owner): Promise<Watched> {
  const master = await startRedisServer(t)
  const replica = await startRedisServer(t, ['--replicaof', '127.0.0.1', String(master.port)])
  await until('the replica to follow', async () => (await redisCli(replica.port, 'INFO', 'replication')).includes('master_link_status:up'))
  const ports = await Promise.all(Array.from({ length: SENTINELS }, () => startSentinel(t, master.port)))
  await until('the Sentinels to know each other', async () => {
    const answers = await Promise.all(ports.map(async (port) => await redisCli(port, 'SENTINEL', 'MASTER', 'chaos').catch(() => '')))
    return answers.every((answer) => /num-slaves\n1\n/.test(answer) && new RegExp(`num-other-sentinels\n${SENTINELS - 1}\n`).test(answer))
  }, READY_MS)
  return {
    url: `redis+sentinel://${ports.map((port) => `127.0.0.1:${port}`).join(',')}/chaos`,
    master,
    async failedOver () {
      await until('the Sentinels to name another master', async () => {
        const named = await Promise.all(ports.map((port) => redisCli(port, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'chaos')))
        return named.every((answer) => answer.endsWith(String(replica.port))) && (await redisCli(replica.port, 'ROLE')).startsWith('master')
      }, READY_MS)
    }
  }
}

const running = new Set<ChildProcess>()
process.once('exit', () => { for (const child of running) child.kill('SIGKILL') })

/** A Sentinel keeps its state in its configuration file, so each has its own. */
async function startSentinel (t: Owner, masterPort: number): Promise<number> {
  const port = await freePort()
  const folder = await temporaryFolder(t)
  const file = join(folder, 'sentinel.conf')
  await writeFile(file, [
    `port ${port}`, 'bind 127.0.0.1', `dir ${folder}`, `sentinel monitor chaos 127.0.0.1 ${masterPort} 2`,
    'sentinel down-after-milliseconds chaos 1000', 'sentinel failover-timeout chaos 5000'
  ].join('\n'))
  const child = spawn('redis-server', [file, '--sentinel'], { stdio: 'ignore' })
  running.add(child)
  const exited = once(child, 'exit').then(() => running.delete(child))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  return port
}
