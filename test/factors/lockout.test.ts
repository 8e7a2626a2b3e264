import t from 'tap'
import {
  FREE_FAILURES, HARD_STOP_FAILURES, LONGEST_LOCK_SECONDS, lockSeconds, PENDING_FAILURES, SESSION_FAILURES
} from '../../src/factors/lockout.js'

t.test('T10 the figures of the contract', async (t) => {
  t.same({ FREE_FAILURES, HARD_STOP_FAILURES, LONGEST_LOCK_SECONDS, PENDING_FAILURES, SESSION_FAILURES },
    { FREE_FAILURES: 5, HARD_STOP_FAILURES: 100, LONGEST_LOCK_SECONDS: 3600, PENDING_FAILURES: 10, SESSION_FAILURES: 5 })
})

t.test('T10 the lock: 60 s after the fifth, doubling, at most an hour', async (t) => {
  const table = [
    [0, 0], [4, 0], [5, 60], [6, 120], [7, 240], [8, 480], [9, 960], [10, 1920],
    [11, 3600], [12, 3600], [99, 3600], [100, 3600], [5000, 3600]
  ]
  for (const [failures, seconds] of table) t.equal(lockSeconds(failures!), seconds, `${failures} failures`)
})

t.test('T14 within a week of steady guessing comes the hard stop', async (t) => {
  let judged = 0
  for (let seconds = 0; seconds < 7 * 86_400 && judged < HARD_STOP_FAILURES; seconds += lockSeconds(judged)) judged++
  t.equal(judged, HARD_STOP_FAILURES)
})
