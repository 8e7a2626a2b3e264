import t from 'tap'
import { createConcurrencyLimiter } from '../../src/accounts/concurrency-limiter.js'

/** Returns work that ends on a signal. */
function task () {
  let end = () => {}
  const ended = new Promise<void>((resolve) => { end = resolve })
  let hasBegun = false
  return { work: async () => { hasBegun = true; await ended }, end, hasBegun: () => hasBegun }
}

t.test('P2 whose turn comes too late is turned away unbegun, and who is behind has the place', async (t) => {
  let nowMs = 0
  const limiter = createConcurrencyLimiter({ places: 1, mostWaiting: 10, longestWaitMs: 3_000, clockMs: () => nowMs })
  const [first, late, late2, inTime] = [task(), task(), task(), task()]
  const running = limiter.enter(first.work)
  const refused = [limiter.enter(late.work), limiter.enter(late2.work)]
  nowMs = 1
  const served = limiter.enter(inTime.work)
  t.same(limiter.state(), { running: 1, waiting: 3 })

  nowMs = 3_001
  first.end()
  await running
  for (const one of refused) await t.rejects(one, { code: 'BUSY', statusCode: 503, headers: { 'retry-after': '2' } })
  t.notOk(late.hasBegun() || late2.hasBegun(), 'nothing was done for nobody')
  t.ok(inTime.hasBegun(), 'at the bound is in time')
  inTime.end()
  await served
  t.same(limiter.state(), { running: 0, waiting: 0 })
})

t.test('P2 where all came too late the place is free again', async (t) => {
  let nowMs = 0
  const limiter = createConcurrencyLimiter({ places: 1, mostWaiting: 10, longestWaitMs: 3_000, clockMs: () => nowMs })
  const first = task()
  const running = limiter.enter(first.work)
  const late = limiter.enter(task().work)
  nowMs = 10_000
  first.end()
  await running
  await t.rejects(late, { code: 'BUSY' })
  t.same(limiter.state(), { running: 0, waiting: 0 })
  t.equal(await limiter.enter(async () => 'served'), 'served')
})
