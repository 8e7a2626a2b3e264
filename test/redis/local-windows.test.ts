import t from 'tap'
import { LocalWindows } from '../../src/redis/local-windows.js'

t.test('a window counts from its first hit and ends on time', async (t) => {
  const windows = new LocalWindows()
  t.same(windows.hit('a', 1000, 5000), { count: 1, ttlMs: 1000 })
  t.same(windows.hit('a', 1000, 5999), { count: 2, ttlMs: 1 })
  t.same(windows.hit('b', 1000, 5999), { count: 1, ttlMs: 1000 })
  t.same(windows.hit('a', 1000, 6000), { count: 1, ttlMs: 1000 })
})

t.test('memory is bounded: the least recently seen goes first', async (t) => {
  const windows = new LocalWindows(3)
  for (const key of ['a', 'b', 'c', 'a', 'd']) windows.hit(key, 1000, 0)
  t.equal(windows.size, 3)
  t.equal(windows.hit('a', 1000, 1).count, 3, 'seen again meanwhile')
  t.equal(windows.hit('b', 1000, 1).count, 1, 'forgotten')
})
