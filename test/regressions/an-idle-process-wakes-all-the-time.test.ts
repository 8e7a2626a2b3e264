/**
 * An idle replica woke 55 times a second: for samples of the event loop, for overdue requests of which there were none, for probes of
 * Redis after each answered command, and for timers that were cleared.
 */
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { makePlace } from '../load/place.js'
import { need } from '../helpers/need.js'
import { startRedisServer } from '../helpers/redis-server.js'
import { startServer } from '../helpers/server-process.js'
import { stores } from '../helpers/stores.js'
import { until } from '../helpers/wait.js'

await need('postgres')
await need('redis-server')

const MOST_WAKES = 40
const SECOND_MS = 1_000
const onLinux = { skip: process.platform === 'linux' ? false : 'needs the accounts of Linux' }

/** Times at which the first thread, which runs JavaScript, went to sleep. */
async function sleeps (pid: number): Promise<number> {
  return Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(await readFile(`/proc/${pid}/task/${pid}/status`, 'utf8'))?.[1])
}

t.test('two replicas without requests sleep, the one that reads the revocations and the one that follows it', onLinux, async (t) => {
  const { url } = await startRedisServer(t)
  const settings = { ...await makePlace(t, await stores()), REDIS_URL: url }
  const replicas = [startServer(t, settings), startServer(t, settings)]
  await Promise.all(replicas.map((replica) => replica.ready()))
  for (const { pid } of replicas) {
    const seen: Array<{ atMs: number, count: number }> = []
    await until(`a second with less than ${MOST_WAKES} wake-ups`, async () => {
      const [atMs, count] = [performance.now(), await sleeps(pid)]
      seen.push({ atMs, count })
      const before = seen.findLast((sample) => atMs - sample.atMs >= SECOND_MS)
      return before !== undefined && (count - before.count) / (atMs - before.atMs) * SECOND_MS < MOST_WAKES
    })
  }
})
