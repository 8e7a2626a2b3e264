import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Owner } from '../../helpers/teardown.js'
import { pass } from '../../chaos/scenario.js'
import type { Random } from '../random.js'
import type { Framing, Unit } from './framing.js'

/**
 * Fault of one statement: it is late; it is lost with its connection; its answer is late; its answer is lost with the connection, after
 * the server gave it; the next statement of another connection is answered first.
 */
export const statementFaults = ['delay', 'cut', 'late answer', 'lost answer', 'reorder'] as const
export type StatementFault = typeof statementFaults[number]

/** Probability of each fault, for a statement. */
export type Weather = Partial<Readonly<Record<StatementFault, number>>>

/** A network in front of a server, with faults at the boundaries of statements. */
export interface StatementProxy {
  readonly port: number
  weather: Weather
  /** Server of new connections. */
  target: { host: string, port: number }
  /** Half-open: connections stay, nothing is forwarded. */
  isFrozen: boolean
  /** Closes every connection; new ones are accepted. */
  cutAll (): void
  close (): Promise<void>
}

export interface ProxyOptions {
  framing: Framing
  target: { host: string, port: number }
  random: Random
  /** Counts a fault. */
  count (fault: StatementFault): void
}

const LONGEST_MS = 400
/** Time that a statement waits for one of another connection to be answered before it. */
const OVERTAKEN_MS = 150
const FROZEN_MS = 20

export async function statementProxy (t: Owner, options: ProxyOptions): Promise<StatementProxy> {
  const links = new Set<Link>()
  const overtakers = new Set<() => void>()
  const server = createServer((client) => {
    const link = createLink(client, proxy, options, overtakers)
    links.add(link)
    client.once('close', () => links.delete(link))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy: StatementProxy = {
    port: (server.address() as AddressInfo).port,
    weather: {},
    target: options.target,
    isFrozen: false,
    cutAll () { for (const link of links) link.cut() },
    async close () {
      proxy.cutAll()
      if (!server.listening) return
      server.close()
      await once(server, 'close')
    }
  }
  t.teardown(() => proxy.close())
  return proxy
}

interface Link { cut (): void }

/** One connection. Units go one by one, so that a fault holds up those behind it. */
function createLink (client: Socket, proxy: StatementProxy, { framing, random, count }: ProxyOptions, overtakers: Set<() => void>): Link {
  const server = connect(proxy.target)
  const cut = (): void => { client.destroy(); server.destroy() }
  let isOpen = true
  for (const socket of [client, server]) {
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('close', () => { isOpen = false; cut() })
  }
  /** Statements that were sent and not answered. */
  let open = 0
  let answerFault: StatementFault | null = null

  async function untilThawed (): Promise<void> {
    while (proxy.isFrozen && !client.destroyed) await pass(FROZEN_MS)
  }

  async function send ({ bytes, isStatement }: Unit): Promise<void> {
    const fault = isStatement && open === 0 ? choose(proxy.weather, random) : null
    if (fault !== null) count(fault)
    if (fault === 'cut') return cut()
    if (fault === 'delay') await pass(random.between(1, LONGEST_MS))
    if (fault === 'reorder') await overtaken(overtakers)
    if (fault === 'late answer' || fault === 'lost answer') answerFault = fault
    await untilThawed()
    if (isStatement) open++
    if (isOpen) server.write(bytes)
  }

  async function answer ({ bytes, ends }: { bytes: Buffer, ends: number }): Promise<void> {
    open = Math.max(0, open - ends)
    if (answerFault === 'lost answer') {
      // The whole answer, so that the statement is committed.
      if (ends > 0) cut()
      return
    }
    if (answerFault === 'late answer') {
      answerFault = null
      await pass(random.between(1, LONGEST_MS))
    }
    await untilThawed()
    if (isOpen) client.write(bytes)
    if (ends > 0) for (const release of overtakers) release()
  }

  inOrder(client, framing.requests(), send)
  inOrder(server, framing.answers(), answer)
  return { cut }
}

/** Hands the parts of a stream on, one after the other. */
function inOrder<Part> (socket: Socket, read: (chunk: Buffer) => Part[], handle: (part: Part) => Promise<void>): void {
  let last = Promise.resolve()
  socket.on('data', (chunk: Buffer) => {
    for (const part of read(chunk)) last = last.then(() => handle(part))
  })
}

function choose (weather: Weather, random: Random): StatementFault | null {
  let left = random.next()
  for (const fault of statementFaults) {
    left -= weather[fault] ?? 0
    if (left < 0) return fault
  }
  return null
}

/** Waits until another connection got an answer, or for OVERTAKEN_MS. */
async function overtaken (overtakers: Set<() => void>): Promise<void> {
  await new Promise<void>((resolve) => {
    const release = () => {
      clearTimeout(timer)
      overtakers.delete(release)
      resolve()
    }
    const timer = setTimeout(release, OVERTAKEN_MS)
    overtakers.add(release)
  })
}
