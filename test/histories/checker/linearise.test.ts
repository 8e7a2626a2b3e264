import t from 'tap'
import type { Call, Kind, Result } from '../history.js'
import { specificationsFor } from '../specifications/index.js'
import { BOUND_MS } from '../specifications/ended-stays-ended.js'
import { check } from './check.js'
import { isLinearisable } from './linearise.js'

type Line = [kind: Kind, given: number | null, value: number | null, from: number, to: number | null, result: Result, more?: Partial<Call>]

const history = (lines: readonly Line[]): Call[] => lines.map(([kind, given, value, invokedMs, answeredMs, result, more], id) => ({
  id,
  request: id,
  kind,
  key: 'one',
  at: 'a',
  ...(given === null ? {} : { given }),
  ...(value === null ? {} : { value }),
  invokedMs,
  answeredMs,
  result,
  ...more
}))

const OVER = { code: 'SESSION_ENDED' }
const B = { at: 'b' }
const COMMAND = { at: 'command' }

/** [sentence, calls, violated properties] */
const histories: ReadonlyArray<readonly [sentence: string, lines: readonly Line[], violated: string[]]> = [
  ['a code at two replicas, one accepted', [['code', 5, null, 0, 9, 'ok'], ['code', 5, null, 1, 8, 'refused']], []],
  ['a code at two replicas, both accepted', [['code', 5, null, 0, 9, 'ok'], ['code', 5, null, 1, 8, 'ok']], ['step-once', 'steps-rise']],
  ['steps in the wrong order at once have an order', [['code', 6, null, 0, 9, 'ok'], ['code', 5, null, 1, 8, 'ok']], []],
  ['an older step after a newer one', [['code', 6, null, 0, 3, 'ok'], ['code', 5, null, 4, 8, 'ok']], ['steps-rise']],
  ['an older step, an answer that comes at the moment of the call', [['code', 6, null, 0, 4, 'ok'], ['code', 5, null, 4, 8, 'ok']], []],
  ['a lost code that may not have happened', [['code', 5, null, 0, null, 'maybe'], ['code', 5, null, 4, 8, 'ok']], []],
  ['a lost code that happened, as a reading shows',
    [['code', 5, null, 0, null, 'maybe'], ['step', null, 5, 2, 3, 'ok'], ['code', 5, null, 4, 8, 'ok']], ['step-once', 'steps-rise']],
  ['a lost code that happens late',
    [['code', 5, null, 0, null, 'maybe'], ['step', null, -1, 2, 3, 'ok'], ['step', null, 5, 6, 8, 'ok']], []],
  ['an accepted step that is not in the table', [['code', 5, null, 0, 1, 'ok'], ['step', null, -1, 2, 3, 'ok']], ['steps-rise']],
  ['a step in the table that was never given',
    [['code', 5, null, 0, 1, 'refused'], ['step', null, 5, 2, 3, 'ok']], ['step-once', 'steps-rise']],
  ['a challenge after a wrong answer',
    [['challenge', null, null, 0, 1, 'refused', { code: 'PASSKEY_INVALID' }], ['challenge', null, null, 2, 3, 'ok']], ['challenge-once']],
  ['a challenge beside a wrong answer',
    [['challenge', null, null, 0, 3, 'refused', { code: 'PASSKEY_INVALID' }], ['challenge', null, null, 2, 3, 'ok']], []],
  ['a challenge after a refusal of the session',
    [['challenge', null, null, 0, 1, 'refused', OVER], ['challenge', null, null, 2, 3, 'ok']], []],
  ['a recovery code twice', [['recovery', null, null, 0, 1, 'ok'], ['recovery', null, null, 2, 3, 'ok']], ['recovery-once']],
  ['a token twice', [['reset', null, null, 0, 1, 'ok'], ['reset', null, null, 2, 3, 'ok']], ['reset-once']],
  ['a set-up code twice', [['setup', null, null, 0, 1, 'ok'], ['setup', null, null, 2, 3, 'ok']], ['setup-once']],
  ['a refresh token again, its child unused',
    [['refresh', 0, 1, 0, 1, 'ok'], ['refresh', 0, 1, 2, 3, 'ok'], ['refresh', 1, 2, 4, 5, 'ok']], []],
  ['a refresh token again, its child used',
    [['refresh', 0, 1, 0, 1, 'ok'], ['refresh', 1, 2, 2, 3, 'ok'], ['refresh', 0, 1, 4, 5, 'ok']], ['generation-once']],
  ['a refresh token with another child', [['refresh', 0, 1, 0, 1, 'ok'], ['refresh', 0, 2, 2, 3, 'ok']], ['generation-once']],
  ['a refresh whose answer was lost',
    [['refresh', 0, null, 0, null, 'maybe'], ['refresh', 0, 1, 2, 3, 'ok'], ['generation', null, 1, 4, 5, 'ok']], []],
  ['a generation that was lost', [['refresh', 0, 1, 0, 1, 'ok'], ['generation', null, 0, 4, 5, 'ok']], ['generation-once']],
  ['a refresh after the end', [['end', null, null, 0, 1, 'ok'], ['refresh', 0, 1, 2, 3, 'ok']], ['generation-once']],
  ['a refresh after an end that was lost', [['end', null, null, 0, null, 'maybe'], ['refresh', 0, 1, 2, 3, 'ok']], []],
  ['a guard at the same replica after the end',
    [['end', null, null, 0, 1, 'ok'], ['guard', null, null, 2, 3, 'ok']], ['ended-stays-ended']],
  ['a guard at another replica, within the bound',
    [['end', null, null, 0, 1, 'ok'], ['guard', null, null, BOUND_MS, BOUND_MS + 2, 'ok', B]], []],
  ['a guard at another replica, later',
    [['end', null, null, 0, 1, 'ok'], ['guard', null, null, BOUND_MS + 2, BOUND_MS + 3, 'ok', B]], ['ended-stays-ended']],
  ['a guard that began within the bound', [['end', null, null, 0, 1, 'ok'], ['guard', null, null, BOUND_MS, 9 * BOUND_MS, 'ok', B]], []],
  ['a command that ended it, a guard within the bound',
    [['end', null, null, 0, 1, 'ok', COMMAND], ['guard', null, null, BOUND_MS, BOUND_MS + 2, 'ok']], []],
  ['a guard after an end that was lost', [['end', null, null, 0, null, 'maybe'], ['guard', null, null, 9000, 9001, 'ok']], []],
  ['a replica that said it has ended',
    [['end', null, null, 0, null, 'maybe'], ['guard', null, null, 5, 6, 'refused', OVER], ['guard', null, null, 7, 8, 'ok']],
    ['ended-stays-ended']]
]

t.test('right and wrong histories', async (t) => {
  for (const [sentence, lines, violated] of histories) {
    const { violations } = check(history(lines), specificationsFor(['a', 'b']))
    t.same(violations.map(({ property }) => property).sort(), violated, sentence)
  }
})

t.test('objects are independent of each other', async (t) => {
  const calls = history([['code', 5, null, 0, 1, 'ok'], ['code', 5, null, 2, 3, 'ok', { key: 'another' }]])
  t.same(check(calls, specificationsFor([])).violations, [])
})

t.test('a counter with many calls at once has an order, and none with one increment too few', async (t) => {
  const COUNT = 10
  const counter = {
    first: 0,
    after: (count: number | boolean | string, { kind, value }: Call) => kind === 'code' ? Number(count) + 1 : value === count ? count : null
  }
  const increments = history(Array.from({ length: COUNT }, (_, n) => ['code', 0, null, n % 3, 100, 'ok'] as Line))
  const reading = (value: number): Call => ({ ...history([['step', null, value, 101, 102, 'ok']])[0]!, id: COUNT })
  t.ok(isLinearisable([...increments, reading(COUNT)], counter))
  for (const wrong of [COUNT - 1, COUNT + 1]) t.notOk(isLinearisable([...increments, reading(wrong)], counter))
})

t.test('the fewest calls of a violation are found among many', async (t) => {
  const noise = Array.from({ length: 60 }, (_, n) => ['code', n, null, 2 * n, 2 * n + 1, 'ok'] as Line)
  const calls = history([...noise, ['code', 30, null, 500, 501, 'ok'], ['step', null, 59, 600, 601, 'ok']])
  const [violation] = check(calls, specificationsFor([])).violations.filter(({ property }) => property === 'step-once')
  t.same(violation?.calls.map(({ id }) => id), [30, 60])
  const rise = check(calls, specificationsFor([])).violations.find(({ property }) => property === 'steps-rise')
  t.equal(rise?.calls.length, 2, 'the late one, and any one that should have prevented it')
})

t.test('a removed call counts as one that may have happened: what a reading shows is not made wrong by it', async (t) => {
  const calls = history([
    ['code', 5, null, 0, null, 'maybe'], ['code', 4, null, 0, 1, 'refused'], ['step', null, 5, 2, 3, 'ok'], ['code', 5, null, 4, 8, 'ok']
  ])
  const [violation] = check(calls, specificationsFor([])).violations
  t.same(violation?.calls.map(({ id }) => id), [2, 3])
})
