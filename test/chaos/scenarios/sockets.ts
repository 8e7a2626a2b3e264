import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { quantile, startLoad } from '../load.js'
import { pass, unlike, type Scenario, type Seen } from '../scenario.js'
import type { Stage } from '../stage.js'

/** A request is answered or cut off within this time, including headers and body. */
const CUT_MS = 10_000
const SLOW = 60
const IDLE = 1_000
const PER_SECOND = 150

interface Held { socket: Socket, openedAtMs: number, closed: Promise<number> }

/** @param drip bytes that are sent again every 200 ms */
function hold (base: string, first: string, drip = ''): Held {
  const openedAtMs = performance.now()
  const socket = connect(Number(new URL(base).port), '127.0.0.1').on('error', () => {})
  socket.resume()
  if (first !== '') socket.write(first)
  const timer = drip === '' ? undefined : setInterval(() => { if (socket.writable) socket.write(drip) }, 200)
  const closed = once(socket, 'close').then(() => {
    clearInterval(timer)
    return performance.now() - openedAtMs
  })
  return { socket, openedAtMs, closed }
}

const POST = 'POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'

/** Ways to keep a connection open without a complete request. */
const slow: Array<(base: string) => Held> = [
  (base) => hold(base, 'GET /session HTTP/1.1\r\nHost: x\r\n', 'x-more: y\r\n'),
  (base) => hold(base, 'GET /ses', 's'),
  (base) => hold(base, `${POST}Content-Length: 10000\r\n\r\n{`, ' '),
  (base) => hold(base, `${POST}Transfer-Encoding: chunked\r\n\r\n`, '1\r\n \r\n')
]

/** Compares the load of other clients on both replicas before and while connections to the first replica are held. */
async function whileHeld ({ replicas, people }: Stage, heldMs: number, open: (base: string) => Promise<Held[]>) {
  const load = startLoad(replicas.map(({ base }) => base), people, PER_SECOND)
  await pass(4_000)
  const heldAtMs = performance.now()
  const held = await open(replicas[0]!.base)
  await pass(heldMs)
  const open_ = held.filter(({ socket }) => !socket.destroyed).length
  const answers = await load.stop()
  for (const { socket } of held) socket.destroy()
  const before = answers.filter(({ atMs }) => atMs < heldAtMs).map(({ ms }) => ms)
  const during = answers.filter(({ atMs }) => atMs >= heldAtMs).map(({ ms }) => ms)
  const calm = quantile(before, 0.99)
  const p99Ms = quantile(during, 0.99)
  const wrong = answers.map(unlike).filter((fault) => fault !== null)
  // On a machine with other load, a p99 is not more precise than this.
  if (p99Ms > 2 * calm + 25) wrong.push(`p99 ${Math.round(p99Ms)} ms, ${Math.round(calm)} before`)
  return {
    held,
    stillOpen: open_,
    seen: { requests: answers.length, wrong, p99Ms, recoveryMs: null, note: `p99 before: ${Math.round(calm)} ms` } satisfies Seen
  }
}

async function slowRequests (stage: Stage): Promise<Seen> {
  const { held, seen } = await whileHeld(
    stage, CUT_MS + 1_000, async (base) => Array.from({ length: SLOW }, (_, i) => slow[i % slow.length]!(base))
  )
  const tookMs = await Promise.all(held.map(({ closed }) => closed))
  const late = tookMs.filter((ms) => ms > CUT_MS + 250)
  return {
    ...seen,
    wrong: [...seen.wrong, ...late.map((ms) => `cut off after ${Math.round(ms)} ms`)],
    note: `${SLOW} cut off after ${Math.round(Math.min(...tookMs))} to ${Math.round(Math.max(...tookMs))} ms; ${seen.note}`
  }
}

async function idleSockets (stage: Stage): Promise<Seen> {
  const { seen, stillOpen } = await whileHeld(stage, 6_000, async (base) => {
    const held = Array.from({ length: IDLE }, () => hold(base, ''))
    await Promise.all(held.map(({ socket }) => socket.connecting ? once(socket, 'connect') : null))
    return held
  })
  return { ...seen, wrong: stillOpen < IDLE ? [...seen.wrong, `only ${stillOpen} were held`] : seen.wrong }
}

export const socketScenarios: Scenario[] = [
  { name: 'O6 Slow headers, slow and never-ending bodies', run: slowRequests },
  { name: 'O6 A thousand idle sockets', run: idleSockets }
]
