/**
 * Load over raw sockets. Not wrk: it cannot count, send each request once, keep to a pace or look at the answers; nor
 * autocannon: it rounds to milliseconds and takes twice the CPU of what it measures.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** The bytes of the request that comes next. */
export type Next = () => Buffer

export interface Target { port: number, next: Next, status: number }

export interface Ran {
  seconds: number
  /** Answers of another status. */
  wrong: number
}

/** Longer than the service may take for anything. */
const GIVE_UP_MS = 12_000
const TIMER_LATE_MS = 1.5
const HEAD_END = '\r\n\r\n'

/** So many requests in all, or until it is over, on connections that each ask again as soon as they are answered. */
export async function closedLoop ({ port, next, status }: Target, count: number, connections: number, isOver = () => false): Promise<Ran> {
  const lines = await Promise.all(Array.from({ length: connections }, () => openLine(port)))
  const beganAtMs = performance.now()
  let sent = 0
  let wrong = 0
  await Promise.all(lines.map(async (line) => {
    while (sent++ < count && !isOver()) {
      if (await line.ask(next()) !== status) wrong++
    }
  }))
  const seconds = (performance.now() - beganAtMs) / 1000
  for (const line of lines) line.close()
  return { seconds, wrong }
}

/**
 * So many requests a second, each at its time, however long the answers take; where every connection is busy it waits
 * for one, and that counts. The process should do next to nothing else meanwhile.
 *
 * @returns also the latencies in milliseconds, ascending
 */
export async function openLoop ({ port, next, status }: Target, perSecond: number, seconds: number, connections: number): Promise<Ran & { latenciesMs: Float64Array }> {
  const lines = await Promise.all(Array.from({ length: connections }, () => openLine(port)))
  const idle = [...lines]
  const waiting: Array<() => void> = []
  const count = Math.max(1, Math.floor(perSecond * seconds))
  const latenciesMs = new Float64Array(count)
  const beganAtMs = performance.now()
  const underWay: Array<Promise<void>> = []
  let wrong = 0

  async function ask (i: number): Promise<void> {
    if (idle.length === 0) await new Promise<void>((resolve) => { waiting.push(resolve) })
    const line = idle.pop()!
    if (await line.ask(next()) !== status) wrong++
    latenciesMs[i] = performance.now() - beganAtMs - i / perSecond * 1000
    idle.push(line)
    waiting.shift()?.()
  }

  for (let i = 0; i < count;) {
    const due = (performance.now() - beganAtMs) / 1000 * perSecond
    for (; i < count && i <= due; i++) underWay.push(ask(i))
    if (i < count) await soon(beganAtMs + i / perSecond * 1000)
  }
  await Promise.all(underWay)
  const took = (performance.now() - beganAtMs) / 1000
  for (const line of lines) line.close()
  return { seconds: took, wrong, latenciesMs: latenciesMs.sort() }
}

/**
 * Where requests are far apart it sleeps until shortly before, since whoever is measured needs the core; from then on it turns, since a timer may come a millisecond late
 * or two, which is what is to be measured.
 */
async function soon (atMs: number): Promise<void> {
  const restMs = atMs - performance.now() - TIMER_LATE_MS
  await new Promise<void>((resolve) => { if (restMs >= 1) setTimeout(resolve, restMs); else setImmediate(resolve) })
}

interface Line {
  /** @returns the status of the answer */
  ask (request: Buffer): Promise<number>
  close (): void
}

async function openLine (port: number): Promise<Line> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  let settle: { resolve: (status: number) => void, reject: (error: Error) => void } | undefined
  let rest: Buffer | undefined

  listen(socket, (error) => settle?.reject(error))
  socket.on('data', (bytes: Buffer) => {
    const soFar = rest === undefined ? bytes : Buffer.concat([rest, bytes])
    const length = lengthOf(soFar)
    if (length === undefined || soFar.length < length) {
      rest = soFar
      return
    }
    rest = undefined
    settle?.resolve(statusOf(soFar))
  })
  return {
    ask: (request) => new Promise((resolve, reject) => {
      settle = { resolve, reject }
      socket.write(request)
    }),
    close: () => socket.destroy()
  }
}

function listen (socket: Socket, fail: (error: Error) => void): void {
  socket.setTimeout(GIVE_UP_MS, () => { fail(new Error('no answer')) })
  socket.on('error', fail)
  socket.on('close', () => { fail(new Error('the connection was closed')) })
}

/** Of the whole answer, from its head; undefined while that has not come whole. */
function lengthOf (bytes: Buffer): number | undefined {
  const end = bytes.indexOf(HEAD_END)
  if (end === -1) return undefined
  const bodyLength = /\ncontent-length: ?(\d+)/i.exec(bytes.toString('latin1', 0, end))?.[1] ?? '0'
  return end + HEAD_END.length + Number(bodyLength)
}

/** The digits after `HTTP/1.1 `. */
function statusOf (bytes: Buffer): number {
  return Number(bytes.toString('latin1', 9, 12))
}

/** @param share 0.99 for the 99th percentile @param ascending sorted */
export function quantile (ascending: ArrayLike<number>, share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? NaN
}

export function get (path: string, access?: string): Buffer {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1${bearer(access)}${HEAD_END}`)
}

export function post (path: string, body: object, access?: string): Buffer {
  const text = JSON.stringify(body)
  return Buffer.from(`POST ${path} HTTP/1.1\r\nhost: 127.0.0.1${bearer(access)}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}${HEAD_END}${text}`)
}

const bearer = (access: string | undefined) => access === undefined ? '' : `\r\nauthorization: Bearer ${access}`
