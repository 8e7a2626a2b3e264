import t from 'tap'
import type { SessionContext } from '../../../src/core/assurance.js'
import { chooseTrustMs, COPY_TRUST_MS, LOCAL_TRUST_MS, LocalCache } from '../../../src/sessions/cache/local-cache.js'

const context = (userId: string, sessionId: string): SessionContext => ({
  userId,
  sessionId,
  otpRequired: false,
  otpDeviceId: null,
  otpTime: null,
  phrTime: null,
  otpDeadline: null,
  authTime: 0,
  authClaimedTime: null,
  expiresAt: 2 ** 40
})

const ADA = context('ada', 'one')

t.test('J5 what was asked before the ends were followed is not remembered', async (t) => {
  const memo = new LocalCache()
  memo.fill(ADA, performance.now(), LOCAL_TRUST_MS)
  t.equal(memo.alive('ada', 'one'), undefined, 'nobody follows yet')

  const askedAtMs = performance.now()
  memo.coveredFromNow()
  memo.fill(ADA, askedAtMs, LOCAL_TRUST_MS)
  t.equal(memo.alive('ada', 'one'), undefined, 'asked before, answered after')
  memo.fill(ADA, performance.now(), LOCAL_TRUST_MS)
  t.same(memo.alive('ada', 'one'), ADA)

  memo.coveredFromNow()
  t.equal(memo.alive('ada', 'one'), undefined, 'a gap')
})

t.test('J5 an end is stronger than whatever is filled in afterwards', async (t) => {
  const memo = new LocalCache()
  memo.coveredFromNow()
  memo.fill(ADA, performance.now(), LOCAL_TRUST_MS)
  memo.end('ada', 'one')
  t.equal(memo.alive('ada', 'one'), undefined)
  memo.fill(ADA, performance.now(), LOCAL_TRUST_MS)
  t.equal(memo.alive('ada', 'one'), undefined)
  t.ok(memo.hasEnded('ada', 'one'))
})

t.test('J5 an answer that comes when an end from meanwhile may be forgotten is not remembered', async (t) => {
  let nowMs = 0
  const memo = new LocalCache(() => nowMs)
  memo.coveredFromNow()
  const askedAtMs = nowMs
  memo.end('ada', 'one')
  for (const minutes of [4, 8, 12]) {
    nowMs = minutes * 60_000
    memo.end('bob', String(minutes))
  }
  t.notOk(memo.hasEnded('ada', 'one'), 'forgotten')
  memo.fill(ADA, askedAtMs, LOCAL_TRUST_MS)
  memo.fillUntimed(ADA, nowMs - askedAtMs, LOCAL_TRUST_MS)
  t.equal(memo.alive('ada', 'one'), undefined)
  memo.fill(ADA, nowMs, LOCAL_TRUST_MS)
  t.same(memo.alive('ada', 'one'), ADA, 'one that was asked now is')
})

t.test('J5 a change is stronger than what was asked before it, and no end', async (t) => {
  const memo = new LocalCache()
  memo.coveredFromNow()
  const askedAtMs = performance.now()
  memo.fill(ADA, askedAtMs, LOCAL_TRUST_MS)
  memo.change('ada', 'one')
  t.equal(memo.alive('ada', 'one'), undefined, 'forgotten')
  memo.fill(ADA, askedAtMs, LOCAL_TRUST_MS)
  t.equal(memo.alive('ada', 'one'), undefined, 'asked before, answered after')
  t.ok(memo.isOutdated('ada', 'one', askedAtMs))
  t.notOk(memo.hasEnded('ada', 'one'))
  memo.fill(ADA, performance.now(), LOCAL_TRUST_MS)
  t.same(memo.alive('ada', 'one'), ADA)
  t.notOk(memo.isOutdated('bob', 'one', askedAtMs))
})

t.test("J5, E6 two users' sessions of one id are two", async (t) => {
  const memo = new LocalCache()
  memo.coveredFromNow()
  memo.fill(ADA, performance.now(), LOCAL_TRUST_MS)
  t.equal(memo.alive('eve', 'one'), undefined)
  memo.end('eve', 'one')
  t.notOk(memo.hasEnded('ada', 'one'))
  memo.end('ada', 'one')
  memo.end('eve', 'one')
  t.ok(memo.hasEnded('ada', 'one'), "another user's end of the same id does not erase this one")
  memo.fill(ADA, performance.now(), LOCAL_TRUST_MS)
  t.equal(memo.alive('ada', 'one'), undefined)
})

t.test('J5 a reading is used for a quarter of an hour, and a hundred thousand are kept at most', async (t) => {
  let nowMs = 1_000
  const memo = new LocalCache(() => nowMs)
  memo.coveredFromNow()
  memo.fill(ADA, nowMs, LOCAL_TRUST_MS)
  nowMs += LOCAL_TRUST_MS
  t.same(memo.alive('ada', 'one'), ADA)
  nowMs++
  t.equal(memo.alive('ada', 'one'), undefined)
  memo.fill(ADA, nowMs - LOCAL_TRUST_MS - 1, LOCAL_TRUST_MS)
  t.equal(memo.alive('ada', 'one'), undefined, 'from when it was asked, not from when it was answered')

  memo.fill(ADA, nowMs, 10_000)
  nowMs += 10_000
  t.same(memo.alive('ada', 'one'), ADA, 'as long as it was to be')
  nowMs++
  t.equal(memo.alive('ada', 'one'), undefined, 'and no longer')

  memo.end('ada', 'one')
  nowMs += 2 * COPY_TRUST_MS
  memo.end('eve', 'two')
  t.ok(memo.hasEnded('ada', 'one'), 'an end is remembered longer than any Redis copy')
  nowMs += 4 * COPY_TRUST_MS + 1
  memo.end('eve', 'three')
  t.notOk(memo.hasEnded('ada', 'one'), 'but not for ever')

  for (let i = 0; i < 150_000; i++) memo.fill(context('bob', `${i}`), nowMs, LOCAL_TRUST_MS)
  t.ok(memo.size <= 100_000, String(memo.size))
  t.equal(memo.alive('bob', '0'), undefined)
  t.ok(memo.alive('bob', '149999'))
})

t.test('O8 what is not trusted any more is forgotten, asked about or not', async (t) => {
  let nowMs = 0
  const memo = new LocalCache(() => nowMs)
  memo.coveredFromNow()
  for (let minute = 0; minute < 30; minute++) {
    for (let i = 0; i < 1_000; i++) memo.fill(context('ada', `${minute}.${i}`), nowMs, LOCAL_TRUST_MS)
    t.same(memo.alive('ada', `${minute}.0`), context('ada', `${minute}.0`))
    nowMs += LOCAL_TRUST_MS
    t.ok(memo.alive('ada', `${minute}.1`), 'to the end of its time')
    nowMs++
    t.equal(memo.alive('ada', `${minute}.2`), undefined)
  }
  t.ok(memo.size <= 2_000, `${memo.size} of 30 000`)
})

t.test('J5 entries are trusted for a time at most, and not all for as long', async (t) => {
  const chosen = Array.from({ length: 1_000 }, () => chooseTrustMs(LOCAL_TRUST_MS))
  t.ok(Math.max(...chosen) <= LOCAL_TRUST_MS)
  t.ok(Math.min(...chosen) >= LOCAL_TRUST_MS * 3 / 4)
  t.ok(Math.max(...chosen) - Math.min(...chosen) > LOCAL_TRUST_MS / 8, 'spread')
})
