import fc from 'fast-check'
import t from 'tap'
import { FairQueue, type Place } from '../../src/accounts/fair-queue.js'

const at = (site: string, network = site, isKnown = false): Place => ({ site, network, isKnown })

function drained<Item> (queue: FairQueue<Item>): Item[] {
  const items: Item[] = []
  for (let item = queue.next(); item !== undefined; item = queue.next()) items.push(item)
  return items
}

t.test('served in turn by site, within it by network, within that in order', async (t) => {
  const queue = new FairQueue<string>(100)
  for (const name of ['a1', 'a2', 'a3']) queue.add(name, at('A', 'a'))
  queue.add('b1', at('A', 'b'))
  queue.add('c1', at('C'))
  queue.add('c2', at('C'))
  t.equal(queue.size, 6)
  t.same(drained(queue), ['a1', 'c1', 'b1', 'c2', 'a2', 'a3'])
  t.equal(queue.size, 0)
  t.equal(queue.next(), undefined)
})

t.test('known networks first, but each fourth turn is another\'s', async (t) => {
  const queue = new FairQueue<string>(100)
  for (let i = 0; i < 3; i++) queue.add(`other ${i}`, at('O'))
  for (let i = 0; i < 8; i++) queue.add(`known ${i}`, at('K', 'k', true))
  t.same(drained(queue).map((name) => name[0]).join(''), 'kkkokkkokko')
})

t.test('one network alone may use the whole queue, and gives way to others', async (t) => {
  const queue = new FairQueue<number>(10)
  for (let i = 0; i < 10; i++) t.same(queue.add(i, at('A')), { added: true })
  t.same(queue.add(10, at('A')), { added: false })
  for (let i = 0; i < 5; i++) t.same(queue.add(20 + i, at('B')), { added: true, evicted: 9 - i }, 'its last one leaves')
  t.same(queue.add(25, at('B')), { added: false }, 'half each')
  for (let i = 0; i < 3; i++) t.ok(queue.add(30 + i, at('C')).added)
  t.equal(queue.size, 10)
  t.same(drained(queue).slice(0, 9), [0, 20, 30, 1, 21, 31, 2, 22, 32])
})

t.test('many networks of one site are one site, and share its places among themselves', async (t) => {
  const queue = new FairQueue<string>(10)
  for (let i = 0; i < 10; i++) queue.add(`flood ${i}`, at('S', `s${i}`))
  t.same(queue.add('late', at('S', 's99')), { added: false })
  t.ok(queue.add('else', at('E')).evicted?.startsWith('flood'))
  queue.next()
  queue.add('s0 again', at('S', 's1'))
  t.equal(queue.size, 10)
})

t.test('a known newcomer takes the place of another at once; the others keep a quarter', async (t) => {
  const queue = new FairQueue<string>(8)
  for (let i = 0; i < 8; i++) queue.add(`other ${i}`, at(`o${i}`))
  t.same(queue.add('one more', at('o9')), { added: false })
  for (let i = 0; i < 6; i++) t.ok(queue.add(`known ${i}`, at('K', 'k', true)).evicted?.startsWith('other'))
  t.same(queue.add('known 6', at('K', 'k', true)), { added: false }, 'no more than its part')
  t.same(queue.add('known 7', at('L', 'l', true)), { added: true, evicted: 'known 5' })

  const crowded = new FairQueue<string>(8)
  for (let i = 0; i < 8; i++) crowded.add(`known ${i}`, at(`k${i}`, 'k', true))
  t.ok(crowded.add('other 0', at('O')).evicted?.startsWith('known'))
  t.ok(crowded.add('other 1', at('P')).evicted?.startsWith('known'))
  t.same(crowded.add('other 2', at('Q')), { added: false })
})

t.test('the oldest can be taken out of turn', async (t) => {
  const queue = new FairQueue<string>(10)
  queue.add('first', at('A'))
  queue.add('second', at('B', 'b', true))
  queue.add('third', at('A'))
  t.equal(queue.next(), 'second')
  t.equal(queue.oldest(), 'first')
  t.equal(queue.takeOldest(), 'first')
  t.equal(queue.takeOldest(), 'third')
  t.equal(queue.takeOldest(), undefined)
  t.equal(queue.size, 0)
})

t.test('whatever comes: bounded, nobody twice, nobody forgotten, turns in order', async (t) => {
  const place = fc.record({ isKnown: fc.boolean(), site: fc.constantFrom('A', 'B', 'C'), network: fc.constantFrom('x', 'y', 'z') })
  const command = fc.oneof(
    { weight: 5, arbitrary: place.map((where) => ({ where })) },
    { weight: 3, arbitrary: fc.constant('next' as const) },
    { weight: 1, arbitrary: fc.constant('oldest' as const) })
  fc.assert(fc.property(fc.integer({ min: 1, max: 12 }), fc.array(command, { maxLength: 200 }), (capacity, commands) => {
    const queue = new FairQueue<number>(capacity)
    /** Waiting items, by arrival. */
    const model = new Map<number, Place>()
    const of = (isKnown: boolean) => [...model.values()].filter((where) => where.isKnown === isKnown)
    /** By class and waiting site: the sites of its class that had a turn since its own last one. */
    const passed = new Map<string, Set<string>>()
    let inARow = 0
    let number = 0
    for (const asked of commands) {
      if (typeof asked === 'object') {
        const { where } = asked
        const item = number++
        const sizes = new Map<string, number>()
        for (const { site } of of(where.isKnown)) sizes.set(site, (sizes.get(site) ?? 0) + 1)
        const { added, evicted } = queue.add(item, where)
        if (evicted !== undefined && !model.delete(evicted)) return false
        if (model.size >= capacity && added) return false
        if (added) model.set(item, where)
        else if (model.size < capacity || Math.max(...sizes.values()) > (sizes.get(where.site) ?? 0) + 1) return false
      } else if (asked === 'oldest') {
        const [oldest] = model.keys()
        if (queue.takeOldest() !== oldest) return false
        if (oldest !== undefined) model.delete(oldest)
      } else {
        const item = queue.next()
        if (item === undefined) {
          if (model.size > 0) return false
          continue
        }
        const where = model.get(item)
        if (where === undefined) return false
        // It is the first of its network, and no site of its class had two turns before it.
        const isSame = (place: Place) => place.isKnown === where.isKnown && place.site === where.site && place.network === where.network
        for (const [other, place] of model) if (other < item && isSame(place)) return false
        const waiting = new Set(of(where.isKnown).map(({ site }) => `${where.isKnown} ${site}`))
        const own = `${where.isKnown} ${where.site}`
        for (const site of waiting) {
          if (site === own) continue
          const before = passed.get(site) ?? new Set()
          if (before.has(own)) return false
          passed.set(site, before.add(own))
        }
        for (const site of [...passed.keys()]) if (site.startsWith(`${where.isKnown} `) && !waiting.has(site)) passed.delete(site)
        passed.delete(own)
        if (where.isKnown && of(false).length > 0 && inARow >= 3) return false
        if (!where.isKnown && of(true).length > 0 && inARow < 3) return false
        inARow = where.isKnown ? inARow + 1 : 0
        model.delete(item)
      }
      const waits = new Set([...model.values()].map(({ isKnown, site }) => `${isKnown} ${site}`))
      for (const site of [...passed.keys()]) if (!waits.has(site)) passed.delete(site)
      if (queue.size !== model.size || queue.size > capacity) return false
      const [oldest] = model.keys()
      if (queue.oldest() !== oldest) return false
    }
    return true
  }), { numRuns: 2_000 })
  t.pass('2000 runs')
})

/** CPU time per operation to fill a queue of that size twice and empty it, in microseconds. */
function costUs (size: number): number {
  const queue = new FairQueue<number>(size)
  const before = process.cpuUsage()
  for (let i = 0; i < 2 * size; i++) queue.add(i, at(`s${i % (size / 20)}`, `n${i % (size / 2)}`, i % 7 === 0))
  while (queue.next() !== undefined);
  const { user, system } = process.cpuUsage(before)
  return (user + system) / size
}

t.test('it costs the same, however many wait', async (t) => {
  costUs(2_000)
  const [few, many] = [costUs(2_000), costUs(40_000)]
  t.comment(`${few.toFixed(1)} and ${many.toFixed(1)} µs`)
  t.ok(many < 10 * Math.max(few, 1), 'twenty times as many')
})
