import t from 'tap'
import type { Standing } from '../../src/core/assurance.js'
import { Memo, TRUST_MS } from '../../src/sessions/memo.js'

const standing = (userId: string, sessionId: string): Standing =>
  ({ userId, sessionId, otpRequired: false, otpDeviceId: null, otpTime: null, otpDeadline: null, authTime: 0, expiresAt: 2 ** 40 })

const ADA = standing('ada', 'one')

t.test('J5 what was asked before the ends were followed is not remembered', async (t) => {
  const memo = new Memo()
  memo.fill(ADA, performance.now())
  t.equal(memo.alive('ada', 'one'), undefined, 'nobody follows yet')

  const askedAtMs = performance.now()
  memo.coveredFromNow()
  memo.fill(ADA, askedAtMs)
  t.equal(memo.alive('ada', 'one'), undefined, 'asked before, answered after')
  memo.fill(ADA, performance.now())
  t.same(memo.alive('ada', 'one'), ADA)

  memo.coveredFromNow()
  t.equal(memo.alive('ada', 'one'), undefined, 'a gap')
})

t.test('J5 an end is stronger than whatever is filled in afterwards', async (t) => {
  const memo = new Memo()
  memo.coveredFromNow()
  memo.fill(ADA, performance.now())
  memo.end('ada', 'one')
  t.equal(memo.alive('ada', 'one'), undefined)
  memo.fill(ADA, performance.now())
  t.equal(memo.alive('ada', 'one'), undefined)
  t.ok(memo.hasEnded('ada', 'one'))
})

t.test('J5 a change is stronger than what was asked before it, and no end', async (t) => {
  const memo = new Memo()
  memo.coveredFromNow()
  const askedAtMs = performance.now()
  memo.fill(ADA, askedAtMs)
  memo.change('ada', 'one')
  t.equal(memo.alive('ada', 'one'), undefined, 'forgotten')
  memo.fill(ADA, askedAtMs)
  t.equal(memo.alive('ada', 'one'), undefined, 'asked before, answered after')
  t.ok(memo.isOutdated('ada', 'one', askedAtMs))
  t.notOk(memo.hasEnded('ada', 'one'))
  memo.fill(ADA, performance.now())
  t.same(memo.alive('ada', 'one'), ADA)
  t.notOk(memo.isOutdated('bob', 'one', askedAtMs))
})

t.test("J5, E6 two users' sessions of one id are two", async (t) => {
  const memo = new Memo()
  memo.coveredFromNow()
  memo.fill(ADA, performance.now())
  t.equal(memo.alive('eve', 'one'), undefined)
  memo.end('eve', 'one')
  t.notOk(memo.hasEnded('ada', 'one'))
  memo.end('ada', 'one')
  memo.end('eve', 'one')
  t.ok(memo.hasEnded('ada', 'one'), "another user's end of the same id does not erase this one")
  memo.fill(ADA, performance.now())
  t.equal(memo.alive('ada', 'one'), undefined)
})

t.test('J5 a reading is used for a minute, and a hundred thousand are kept', async (t) => {
  const memo = new Memo()
  const realNow = performance.now
  t.teardown(() => { performance.now = realNow })
  let nowMs = 1_000
  performance.now = () => nowMs
  memo.coveredFromNow()
  memo.fill(ADA, nowMs)
  nowMs += TRUST_MS
  t.same(memo.alive('ada', 'one'), ADA)
  nowMs++
  t.equal(memo.alive('ada', 'one'), undefined)
  memo.fill(ADA, nowMs - TRUST_MS - 1)
  t.equal(memo.alive('ada', 'one'), undefined, 'from when it was asked, not from when it was answered')

  memo.end('ada', 'one')
  nowMs += 2 * TRUST_MS
  memo.end('eve', 'two')
  t.ok(memo.hasEnded('ada', 'one'), 'an end is remembered longer than any reading')
  nowMs += TRUST_MS + 1
  memo.end('eve', 'three')
  t.notOk(memo.hasEnded('ada', 'one'), 'but not for ever')

  for (let i = 0; i <= 100_000; i++) memo.fill(standing('bob', `${i}`), nowMs)
  t.equal(memo.size, 100_000)
  t.equal(memo.alive('bob', '0'), undefined, 'the oldest goes')
  t.ok(memo.alive('bob', '100000'))
})
