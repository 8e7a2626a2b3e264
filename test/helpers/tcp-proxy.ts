import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { messageCounter } from './postgres-messages.js'
import type { MessageCounts } from './postgres-messages.js'
import type { Owner } from './teardown.js'

/** Bytes from the server that a test holds back, with all later bytes of that connection. */
export interface Hold {
  /** Resolves when bytes are held. */
  readonly held: Promise<Buffer>
  /** Forwards them. */
  release (): void
}

/** A network between a client and one server. A test can cut, freeze and slow it. */
export interface TcpProxy {
  readonly port: number
  /** Returns the same address, through the proxy. */
  url (original: string): string
  /** Closes every connection and refuses new ones. */
  cut (): Promise<void>
  restore (): Promise<void>
  /** Half-open: connections stay, new ones are accepted, nothing is forwarded. */
  pause (): void
  /** Forwards the held bytes, and all later ones. */
  resume (): void
  /** Delay of the server's bytes, in milliseconds. */
  delayMs: number
  /** Share of the chunks, in both directions, that are lost and arrive RETRANSMIT_MS late, with all later ones. */
  lossShare: number
  /** Connections that clients opened so far. */
  readonly opened: number
  /** Holds back the next matching bytes from the server (by default: any), for example an answer that must get lost. */
  holdNext (matches?: (bytes: Buffer) => boolean): Hold
  /** Messages that clients sent, if they speak to Postgres without TLS: `counts.Q`, `.P`, `.B`, `.E`, `.startup` … */
  readonly postgresMessages: MessageCounts
  resetCounts (): void
}

interface Direction {
  from: Socket
  to: Socket
  queue: Array<{ bytes: Buffer | null, dueAtMs: number }>
  hold: Hold | undefined
  timer: NodeJS.Timeout | undefined
}

/** Linux's minimum time until it sends a lost packet again. */
export const RETRANSMIT_MS = 200

/** Default ports, for addresses without a port. */
const PORTS: Record<string, number> = { 'postgres:': 5432, 'postgresql:': 5432, 'redis:': 6379 }

/** Returns the address on which a server listens, for `tcpProxy`. */
export function targetOf (url: string): { host: string, port: number } {
  const { hostname: host, port, protocol } = new URL(url)
  return { host, port: Number(port || PORTS[protocol]) }
}

export async function tcpProxy (t: Owner, target: { host: string, port: number }): Promise<TcpProxy> {
  const directions = new Set<Direction>()
  const counts: MessageCounts = {}
  let isPaused = false
  let opened = 0
  let awaited: { matches: (bytes: Buffer) => boolean, take: (direction: Direction, bytes: Buffer) => void } | undefined

  const server = createServer((client) => {
    opened++
    const upstream = connect(target)
    const count = messageCounter(counts)
    client.on('data', count)
    const lostMs = () => Math.random() < proxy.lossShare ? RETRANSMIT_MS : 0
    forward(client, upstream, lostMs)
    const answers = forward(upstream, client, () => proxy.delayMs + lostMs())
    upstream.prependListener('data', (bytes) => {
      if (awaited?.matches(bytes)) awaited.take(answers, bytes)
    })
  })

  function forward (from: Socket, to: Socket, delayMs: () => number): Direction {
    const direction: Direction = { from, to, queue: [], hold: undefined, timer: undefined }
    directions.add(direction)
    from.setNoDelay(true)
    const push = (bytes: Buffer | null) => {
      direction.queue.push({ bytes, dueAtMs: performance.now() + delayMs() })
      drain(direction)
    }
    from.on('data', push)
    from.on('end', () => push(null))
    from.on('error', () => {})
    from.on('close', () => {
      if (!from.readableEnded) close(direction)
    })
    return direction
  }

  /** Closes at once; queued bytes are lost. */
  function close (direction: Direction): void {
    directions.delete(direction)
    clearTimeout(direction.timer)
    direction.to.destroy()
  }

  function drain (direction: Direction): void {
    clearTimeout(direction.timer)
    if (isPaused) return
    for (let next = direction.queue[0]; next && !direction.hold; next = direction.queue[0]) {
      const waitMs = next.dueAtMs - performance.now()
      if (waitMs > 0) {
        direction.timer = setTimeout(drain, waitMs, direction)
        return
      }
      direction.queue.shift()
      if (next.bytes !== null) direction.to.write(next.bytes)
      else {
        directions.delete(direction)
        direction.to.end()
      }
    }
  }

  async function cut (): Promise<void> {
    for (const direction of [...directions]) {
      direction.from.destroy()
      close(direction)
    }
    if (!server.listening) return
    server.close()
    await once(server, 'close')
  }

  async function listen (port: number): Promise<number> {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  const port = await listen(0)
  const proxy: TcpProxy = {
    port,
    url (original) {
      const address = new URL(original)
      address.hostname = '127.0.0.1'
      address.port = String(port)
      return address.href
    },
    cut,
    async restore () {
      if (!server.listening) await listen(port)
    },
    pause () { isPaused = true },
    resume () {
      isPaused = false
      for (const direction of directions) drain(direction)
    },
    delayMs: 0,
    lossShare: 0,
    get opened () { return opened },
    holdNext (matches = () => true) {
      let release = () => { awaited = undefined }
      const held = new Promise<Buffer>((resolve) => {
        awaited = {
          matches,
          take (direction, bytes) {
            awaited = undefined
            direction.hold = hold
            release = () => {
              direction.hold = undefined
              drain(direction)
            }
            resolve(bytes)
          }
        }
      })
      const hold: Hold = { held, release: () => release() }
      return hold
    },
    postgresMessages: counts,
    resetCounts () {
      for (const kind of Object.keys(counts)) delete counts[kind]
    }
  }
  t.teardown(cut)
  return proxy
}
