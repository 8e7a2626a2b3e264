import { readdir, readlink } from 'node:fs/promises'
import type { Redis } from 'ioredis'
import type { Client } from './client.js'

/** Resources of the service's process at one moment. */
export interface Held {
  /** Minutes since the load began. */
  minute: number
  rssMb: number
  heapMb: number
  /** Without the sockets of the load itself: their number changes with the load of the machine. */
  sockets: number
  redisKeys: number
}

export async function lookAt (base: string, pid: number, redis: Redis, client: Client, minute: number): Promise<Held> {
  const [metrics, sockets, redisKeys] = await Promise.all(
    [fetch(`${base}/metrics`).then((answer) => answer.text()), openSockets(pid), redis.dbsize()]
  )
  const megabytes = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(metrics)?.[1]) / 2 ** 20
  return {
    minute,
    rssMb: megabytes('process_resident_memory_bytes'),
    heapMb: megabytes('nodejs_heap_size_used_bytes'),
    sockets: sockets - client.sockets(),
    redisKeys
  }
}

async function openSockets (pid: number): Promise<number> {
  const folder = `/proc/${pid}/fd`
  const targets = await Promise.all((await readdir(folder)).map((name) => readlink(`${folder}/${name}`).catch(() => '')))
  return targets.filter((target) => target.startsWith('socket:')).length
}

/** Returns the least-squares line through the points: its slope, and the mean of y. */
export function line (points: ReadonlyArray<readonly [x: number, y: number]>): { slope: number, mean: number } {
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const meanX = mean(points.map(([x]) => x))
  const meanY = mean(points.map(([, y]) => y))
  const above = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  const below = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  return { slope: below === 0 ? 0 : above / below, mean: meanY }
}

/** At most one unexpected answer in so many requests. */
const REQUESTS_PER_FAULT = 100_000
const MOST_MB_PER_MINUTE = 1
/** "Flat": over the whole time, the line grows by at most this share of its mean, or by at most FLAT_COUNT. */
const FLAT_SHARE = 0.1
const FLAT_COUNT = 10

export interface Judged { sentence: string, holds: boolean }

/** @param held samples after the warm-up */
export function verdict (requests: number, unexpected: number, held: readonly Held[]): Judged[] {
  const over = (what: (seen: Held) => number) => line(held.map((seen) => [seen.minute, what(seen)] as const))
  const minutes = (held.at(-1)?.minute ?? 0) - (held[0]?.minute ?? 0)
  const memory = over(({ rssMb }) => rssMb)
  const flat = (name: string, what: (seen: Held) => number): Judged => {
    const { slope, mean } = over(what)
    const growth = slope * minutes
    return {
      sentence: `${name}: ${mean.toFixed(0)} on average, ${signed(growth)} over ${minutes.toFixed(1)} minutes`,
      holds: growth <= Math.max(mean * FLAT_SHARE, FLAT_COUNT)
    }
  }
  return [
    { sentence: `unexpected answers: ${unexpected} of ${requests}`, holds: requests > 0 && unexpected * REQUESTS_PER_FAULT <= requests },
    {
      sentence: `resident memory: ${memory.mean.toFixed(0)} MB on average, ${signed(memory.slope)} MB a minute`,
      holds: memory.slope < MOST_MB_PER_MINUTE
    },
    flat('sockets', ({ sockets }) => sockets),
    flat('Redis keys', ({ redisKeys }) => redisKeys)
  ]
}

const signed = (value: number) => `${value < 0 ? '' : '+'}${value.toFixed(2)}`
