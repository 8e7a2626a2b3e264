import t from 'tap'
import { repeat, waitMs } from '../../src/timing/repeat.js'

/** [failed attempts, least wait, greatest wait] */
const waits = [[1, 80, 120], [2, 160, 240], [3, 320, 480], [4, 400, 600], [40, 400, 600]] as const

t.test('waits double up to the longest, with a fifth more or less', (t) => {
  for (const [failed, least, most] of waits) {
    for (let i = 0; i < 100; i++) {
      const ms = waitMs(failed, { firstMs: 100, longestMs: 500 })
      t.ok(ms >= least && ms <= most, `${failed}: ${ms}`)
    }
  }
  t.end()
})

t.test('an attempt is repeated until it returns true, or until the last try', async (t) => {
  const seen: boolean[] = []
  const second = async (isLast: boolean) => { seen.push(isLast); return seen.length === 2 }
  t.equal(await repeat(second, { firstMs: 1, tries: 4, holdsProcess: true }), true)
  t.same(seen, [false, false])
  seen.length = 0
  t.equal(await repeat(async (isLast) => { seen.push(isLast); return false }, { firstMs: 1, tries: 3, holdsProcess: true }), false)
  t.same(seen, [false, false, true])
})

t.test('an error of an attempt ends the repetition', async (t) => {
  let tries = 0
  await t.rejects(repeat(async () => { tries++; throw new Error('no') }, { firstMs: 1 }), /no/)
  t.equal(tries, 1)
})

t.test('a signal ends a wait at once', async (t) => {
  const closing = new AbortController()
  let tries = 0
  const running = repeat(async () => { tries++; return false }, { firstMs: 60_000, signal: closing.signal, holdsProcess: true })
  setImmediate(() => { closing.abort() })
  t.equal(await running, false)
  t.equal(tries, 1)
})
