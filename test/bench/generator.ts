/**
 * Load generator over raw sockets. wrk cannot count, send each request once, keep a rate or check the answers; autocannon
 * rounds to milliseconds and takes twice the CPU of the measured service.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** Returns the bytes of the next request. */
export type Next = () => Buffer

export interface Target { port: number, next: Next, status: number }

export interface Ran {
  seconds: number
  /** Number of answers with another status. */
  wrong: number
}

/** Longer than any time limit of the service. */
const GIVE_UP_MS = 12_000
const TIMER_LATE_MS = 1.5
export const HEAD_END = '\r\n\r\n'

/** Sends `count` requests in all, or until `isOver`. Each connection sends its next request as soon as it has the answer. */
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
 * Sends `perSecond` requests each second at fixed times, independent of the answers. If all connections are busy, the request
 * waits, and the wait counts as latency. The process should do little else during the run.
 *
 * @returns also the latencies in milliseconds, ascending
 */
export async function openLoop (
  { port, next, status }: Target, perSecond: number, seconds: number, connections: number
): Promise<Ran & { latenciesMs: Float64Array }> {
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
    // The one that rested longest: a server closes connections that rest for seconds.
    const line = idle.shift()!
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
 * Sleeps until shortly before `atMs`, because the measured process needs the core, and then polls: a timer can be one or two
 * milliseconds late, as much as the measured latency.
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

/** Returns the length of the whole answer, from its header; undefined until the header is complete. */
function lengthOf (bytes: Buffer): number | undefined {
  const end = bytes.indexOf(HEAD_END)
  if (end === -1) return undefined
  const bodyLength = /\ncontent-length: ?(\d+)/i.exec(bytes.toString('latin1', 0, end))?.[1] ?? '0'
  return end + HEAD_END.length + Number(bodyLength)
}

/** Returns the digits after `HTTP/1.1 `. */
function statusOf (bytes: Buffer): number {
  return Number(bytes.toString('latin1', 9, 12))
}

/**
 * @param share for example 0.99 for the 99th percentile
 * @param ascending sorted values
 */
export function quantile (ascending: ArrayLike<number>, share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? NaN
}

export function get (path: string, access?: string): Buffer {
  return Buffer.from(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1${bearer(access)}${HEAD_END}`)
}

export function post (path: string, body: object, access?: string): Buffer {
  const text = JSON.stringify(body)
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1${bearer(access)}\r\ncontent-type: application/json\r\n` +
    `content-length: ${Buffer.byteLength(text)}${HEAD_END}${text}`
  )
}

const bearer = (access: string | undefined) => access === undefined ? '' : `\r\nauthorization: Bearer ${access}`
