import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'

const SESSIONS = 100_000
/** Three ids of 36 characters, four times and their places in the table are 154. As objects they took 850 here. */
const MOST_BYTES = 220

/** Fills a local cache with readings as PostgreSQL's driver returns them, and prints the growth of resident memory. */
const program = (file: string) => `
  import { randomUUID } from 'node:crypto'
  import { LocalCache } from ${JSON.stringify(file)}
  // Parsed, because randomUUID() returns a tree of its parts.
  const reading = () => JSON.parse(JSON.stringify({
    userId: randomUUID(), sessionId: randomUUID(), amr: ['pwd', 'otp', 'mfa'], otpRequired: true, otpDeviceId: randomUUID(),
    otpTime: 1764000000, phrTime: null, otpDeadline: null, authTime: 1764000000, authClaimedTime: null, expiresAt: 1764086400,
    generation: 0, issuedAt: 1764000000
  }))
  const fill = (cache, count) => { for (let i = 0; i < count; i++) cache.fill(reading(), performance.now(), 900_000) }
  const started = () => { const cache = new LocalCache(); cache.coveredFromNow(); return cache }
  fill(started(), 20_000) // what the work itself takes is no part of the growth
  gc()
  const before = process.memoryUsage.rss()
  const cache = started()
  fill(cache, ${SESSIONS})
  gc()
  const grown = process.memoryUsage.rss() - before
  console.log(JSON.stringify({ grown, size: cache.size }))
`

t.test(`a session takes at most ${MOST_BYTES} bytes of resident memory`, async (t) => {
  const file = join(import.meta.dirname, '../../../src/sessions/cache/local-cache.js')
  const { stdout, stderr } = spawnSync(
    process.execPath, ['--expose-gc', '--max-semi-space-size=1', '--input-type=module', '--eval', program(file)], { encoding: 'utf8' }
  )
  t.equal(stderr, '')
  const { grown, size } = JSON.parse(stdout) as { grown: number, size: number }
  t.equal(size, SESSIONS)
  t.ok(grown < MOST_BYTES * SESSIONS, `${Math.round(grown / SESSIONS)} bytes each`)
  t.ok(grown > 50 * SESSIONS, 'is measured')
})
