import { randomInt, randomUUID } from 'node:crypto'
import t from 'tap'
import type { SessionContext } from '../../../src/core/assurance.js'
import { PackedSessions, type Remembered } from '../../../src/sessions/cache/packed-sessions.js'

const LONG = 'x'.repeat(255)
/** Ids whose bytes or units are those of another one. */
const ODD_IDS = [
  '1', '12', '\u00e9', '\u00c3\u00a9', 'e\u0301', '\u{1f511}', 'null', ' ', '{"a":1}', LONG, `${LONG.slice(1)}y`, '\u00e9'.repeat(127)
]

const pick = <T>(items: readonly T[]): T => items[randomInt(items.length)]!
const nullable = (value: number): number | null => pick([null, value])

function rememberedFor (sessionId: string): Remembered {
  const context: SessionContext = {
    userId: pick([randomUUID(), ...ODD_IDS]),
    sessionId,
    otpRequired: pick([true, false]),
    otpDeviceId: pick([null, 'recovery', randomUUID()]),
    otpTime: nullable(1_764_000_000),
    phrTime: nullable(0),
    otpDeadline: nullable(2 ** 40),
    authTime: pick([0, 1_764_000_000]),
    authClaimedTime: nullable(1_764_000_000.123456),
    expiresAt: pick([1_764_000_000, 2 ** 40])
  }
  return { context, untilMs: randomInt(1e9) / 7 }
}

t.test('returns each field as it was stored, for any id, over random changes', async (t) => {
  const packed = new PackedSessions(10_000)
  const model = new Map<string, Remembered>()
  const ids = [...ODD_IDS, ...Array.from({ length: 200 }, () => randomUUID()), ...Array.from({ length: 200 }, (_, i) => `session-${i}`)]
  for (let change = 0; change < 5_000 && !packed.isFull; change++) {
    const id = pick(ids)
    if (randomInt(4) === 0) {
      packed.delete(id)
      model.delete(id)
    } else {
      const remembered = rememberedFor(id)
      packed.set(id, remembered)
      model.set(id, remembered)
    }
    const asked = pick(ids)
    t.strictSame(packed.get(asked), model.get(asked), asked)
    if (packed.size !== model.size) t.fail(`${packed.size} in place of ${model.size}`)
  }
  for (const id of ids) t.strictSame(packed.get(id), model.get(id), id)
  packed.clear()
  t.equal(packed.size, 0)
  for (const id of ids) t.equal(packed.get(id), undefined)
})

t.test('takes a field that is absent for null, and ids that cannot be stored for unknown', async (t) => {
  const packed = new PackedSessions(100)
  const { phrTime, authClaimedTime, ...context } = rememberedFor('one').context
  packed.set('one', { context, untilMs: 1 })
  t.strictSame(packed.get('one')?.context, { ...context, phrTime: null, authClaimedTime: null })
  for (const id of [`${LONG}x`, '\u00e9'.repeat(128), '\ud800']) {
    packed.set(id, rememberedFor(id))
    t.equal(packed.get(id), undefined)
  }
  packed.set('one', { context: { ...context, userId: `${LONG}x` }, untilMs: 1 })
  t.equal(packed.get('one'), undefined, 'no longer the former one')
})

t.test('is full with as many as it is made for, or when its bytes are used up', async (t) => {
  const store = (id: (i: number) => string) => {
    const packed = new PackedSessions(1_000)
    let stored = 0
    while (!packed.isFull) packed.set(id(stored), rememberedFor(id(stored++)))
    t.equal(packed.get(id(stored - 1))?.context.sessionId, id(stored - 1))
    return stored
  }
  t.equal(store((i) => `${i}`), 1_000)
  const long = store((i) => `${i}`.padStart(255, '-'))
  t.ok(long > 200 && long < 1_000, `${long} long ones`)
  t.ok(store(() => 'one') > 1_000, 'replaced each time')
})
