import t from 'tap'
import { AgingMap } from '../../src/core/aging-map.js'

t.test('keeps for as long as it must, and at most twice as long', async (t) => {
  let nowMs = 0
  const map = new AgingMap<string, number>({ keepMs: 100, clockMs: () => nowMs })
  const putAtMs = new Map<string, number>()
  for (; nowMs < 2_000; nowMs += 7) {
    map.set(`at ${nowMs}`, nowMs)
    putAtMs.set(`at ${nowMs}`, nowMs)
    for (const [key, atMs] of putAtMs) {
      const ageMs = nowMs - atMs
      const isWrong = ageMs <= 100 ? map.get(key) !== atMs : ageMs > 210 && map.get(key) !== undefined
      if (isWrong) t.fail(`${key}, ${ageMs} ms later: ${map.get(key)}`)
    }
  }
  nowMs += 1_000
  map.set('late', 1)
  t.equal(map.size, 1, 'nothing is left after a pause')
})

t.test('full, it forgets the older half', async (t) => {
  const map = new AgingMap<number, number>({ keepMs: 1e9, capacity: 100, clockMs: () => performance.now() })
  for (let i = 0; i < 1_000; i++) {
    map.set(i, i)
    const recent = Math.max(0, i - 49)
    if (map.size > 100 || map.get(recent) !== recent) t.fail(`${map.size} with ${i}`)
  }
  t.equal(map.get(0), undefined)
})

t.test('what is put in anew is the youngest, what is taken out is gone, from both generations', async (t) => {
  let nowMs = 0
  const map = new AgingMap<string, number>({ keepMs: 100, clockMs: () => nowMs })
  map.set('a', 1)
  nowMs = 101
  map.set('b', 1)
  map.set('a', 2)
  t.equal(map.size, 2)
  nowMs = 202
  map.set('c', 1)
  t.equal(map.get('a'), 2)
  map.delete('a')
  t.equal(map.get('a'), undefined)
  map.clear()
  t.equal(map.size, 0)
})
