import { pbkdf2Sync } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { hash } from '@node-rs/argon2'
import t from 'tap'
import { Refusal } from '../../src/core/refusals.js'
import { keepDjangoHash } from '../../src/accounts/foreign-hashes.js'
import { createHasher } from '../../src/accounts/hasher.js'
import { until } from '../helpers/wait.js'

t.test('P2 argon2id with the parameters of the README, a salt for each', async (t) => {
  const hasher = await createHasher()
  const [one, another] = await Promise.all([hasher.hash('correct horse'), hasher.hash('correct horse')])
  t.match(one, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
  t.not(one, another)
  t.ok(await hasher.verify(one, 'correct horse'))
  t.notOk(await hasher.verify(one, 'correct horsf'))
  t.notOk(await hasher.verify(null, 'correct horse'), 'nobody has no password')
})

t.test('P1 the whole password counts: 1024 characters of four bytes, and a NUL', async (t) => {
  const hasher = await createHasher()
  const long = '🦊'.repeat(1024)
  const stored = await hasher.hash(long)
  t.ok(await hasher.verify(stored, long))
  t.notOk(await hasher.verify(stored, '🦊'.repeat(1023) + '🐙'))
  t.notOk(await hasher.verify(stored, '🦊'.repeat(1023)))
  t.notOk(await hasher.verify(await hasher.hash('before\0after'), 'before\0elsewhere'))
})

t.test('P2 a hash under other parameters is renewed, one of today is not', async (t) => {
  const hasher = await createHasher()
  t.equal(await hasher.renew(await hasher.hash('x'), 'x'), null)
  for (const other of [{ memoryCost: 8192 }, { timeCost: 3 }, { parallelism: 2 }, { algorithm: 0 }]) {
    const old = await hash('x', { memoryCost: 19_456, timeCost: 2, parallelism: 1, ...other })
    const renewed = await hasher.renew(old, 'x')
    t.match(renewed, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/, JSON.stringify(other))
    t.ok(await hasher.verify(renewed, 'x'))
  }
})

t.test('P2 never more at once than slots; who waits for a turn is bounded; who finds it full is told when to come back', async (t) => {
  const slots = 2
  const hasher = await createHasher(slots, () => 0)
  let most = 0
  let longest = 0
  const look = () => {
    const { running, waiting } = hasher.state()
    most = Math.max(most, running)
    longest = Math.max(longest, waiting)
  }
  let begun = 0
  const work = Array.from({ length: 300 }, async (_, i) => {
    look()
    await hasher.inTurn(async () => {
      begun++
      await hasher.hash(`password ${i}`).finally(look)
    })
  })
  look()
  const answers = await Promise.allSettled(work)
  t.equal(most, slots)
  t.equal(longest, slots * 100)
  const refused = answers.filter((answer) => answer.status === 'rejected')
  t.equal(refused.length, 300 - slots * 102)
  t.equal(begun, slots * 102, 'nothing was begun for who was turned away')
  for (const { reason } of refused) t.match(reason, { code: 'BUSY', statusCode: 503, headers: { 'retry-after': '2' } })
  t.same(hasher.state(), { running: 0, waiting: 0 }, 'and all places are free again')
})

t.test('P2 what waited five seconds for its turn is turned away: a queue of slow hashes from Django may be a minute long', async (t) => {
  let nowMs = 0
  const hasher = await createHasher(1, () => nowMs)
  let end = () => {}
  const slow = new Promise<void>((resolve) => { end = resolve })
  const running = Array.from({ length: 2 }, () => hasher.inTurn(() => slow))
  const late = hasher.inTurn(async () => t.fail('for nobody'))
  nowMs = 5_001
  const inTime = hasher.inTurn(async () => 'served')
  end()
  await t.rejects(late, { code: 'BUSY' })
  t.equal(await inTime, 'served')
  await Promise.all(running)
  t.same(hasher.state(), { running: 0, waiting: 0 })
})

t.test('O3 when Postgres is away, those who wait are told with the first', async (t) => {
  const hasher = await createHasher(1)
  const asked = Array.from({ length: 50 }, () => hasher.inTurn(async () => { throw new Refusal('UNAVAILABLE') }))
  const answers = await Promise.allSettled(asked)
  t.ok(answers.every((answer) => answer.status === 'rejected' && answer.reason.code === 'UNAVAILABLE'))
  t.same(hasher.state(), { running: 0, waiting: 0 })
})

t.test('P2 a hash that fails gives its place back', async (t) => {
  const hasher = await createHasher(1)
  for (let i = 0; i < 3; i++) await t.rejects(hasher.verify('$argon2id$not a hash', 'x'))
  t.same(hasher.state(), { running: 0, waiting: 0 })
  t.ok(await hasher.hash('x'))
})

t.test('P2 as many slots as cores, and fewer than threads: DNS and files wait there too', async (t) => {
  const hasher = await createHasher()
  const work = Promise.all(Array.from({ length: 8 }, () => hasher.hash('x')))
  t.equal(hasher.state().running, Math.min(availableParallelism(), 3))
  await work
})

const slowHash = (password: string, iterations: number) =>
  keepDjangoHash(`pbkdf2_sha256$${iterations}$salt$${pbkdf2Sync(password, 'salt', iterations, 32, 'sha256').toString('base64')}`)

t.test('P2 slow hashes from Django have a lane of their own', async (t) => {
  const hasher = await createHasher(2)
  const own = await hasher.hash('right')
  const stored = slowHash('right', 60_000)
  const ended: string[] = []
  const slow = Array.from({ length: 8 }, () => hasher.inTurn(async (turn) => {
    t.ok(await hasher.verify(stored, 'right', turn))
    ended.push('slow')
  }))
  const fast = Array.from({ length: 4 }, () => hasher.inTurn(async (turn) => {
    t.ok(await hasher.verify(own, 'right', turn))
    ended.push('fast')
  }))
  await Promise.all([...slow, ...fast])
  t.ok(ended.lastIndexOf('fast') < 8, ended.join(' '))
  t.same(hasher.state(), { running: 0, waiting: 0 })
})

t.test('P2 the slow lane is bounded too, and whoever finds it full is told so', async (t) => {
  const hasher = await createHasher(2)
  const stored = slowHash('right', 50_000)
  const answers = await Promise.allSettled(Array.from({ length: 40 }, () => hasher.inTurn((turn) => hasher.verify(stored, 'right', turn))))
  const refused = answers.filter((answer) => answer.status === 'rejected')
  t.ok(refused.length > 0 && refused.length < 40)
  for (const { reason } of refused) t.match(reason, { code: 'BUSY', statusCode: 503 })
  t.same(hasher.state(), { running: 0, waiting: 0 })
})

t.test('P2 a full queue makes room for another network, and for a known one first', async (t) => {
  const hasher = await createHasher(1)
  let end = () => {}
  const held = new Promise<void>((resolve) => { end = resolve })
  const from = (site: string, known = false) => ({ site, network: site, isKnown: async () => known })
  const served: string[] = []
  const enter = (site: string, known?: boolean) => hasher.inTurn(async () => { await held; served.push(site) }, from(site, known))
  const flood = Array.from({ length: 110 }, () => enter('flood'))
  const answers = Promise.allSettled(flood)
  await until('the queue to be full', () => hasher.state().waiting === 100)
  const others = [enter('stranger'), enter('home', true), enter('home', true)]
  await new Promise((resolve) => { setImmediate(resolve) })
  end()
  await Promise.all(others)
  t.same(served.slice(0, 5), ['flood', 'flood', 'home', 'home', 'flood'])
  t.ok(served.indexOf('stranger') < 7)
  t.equal((await answers).filter(({ status }) => status === 'rejected').length, 110 - 2 - 97)
})

t.test('P2 where nobody waits, nobody is asked whether a network is known', async (t) => {
  const hasher = await createHasher(1)
  const waiter = { site: 'a', network: 'a', isKnown: async () => t.fail('asked') as never }
  for (let i = 0; i < 5; i++) t.equal(await hasher.inTurn(async () => 'served', waiter), 'served')
})
