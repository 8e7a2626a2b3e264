import { randomInt } from 'node:crypto'
import type pg from 'pg'
import t, { type Test } from 'tap'
import { readEnds } from '../../../src/sessions/revocations/revocations.js'
import type { SharedReading } from '../../../src/sessions/revocations/exchange.js'
import { isWithin } from '../../../src/sessions/revocations/snapshots.js'
import { need } from '../../helpers/need.js'
import { END, pollers } from '../../helpers/pollers.js'
import { sized } from '../../helpers/thorough.js'
import { until } from '../../helpers/wait.js'

/* A replica that gets the revocation readings of another one: late, twice, in any order, with gaps, of other servers. */

await need('postgres')

const quiet = () => {}
/** Between messages of the reader. */
const MOST_GAP_MS = 120

/** A follower whose messages a test writes; `announced` has its marks, with the time after which each was made. */
async function scripted (t: Test, seconds = 4) {
  const base = await pollers(t)
  const announced: string[] = []
  let deliver: (reading: SharedReading) => void = quiet
  const { poller, heard } = base.poller(base.database(), {
    announce: async (mark) => { announced.push(mark); return { reader: 'another', isReader: false, marks: [] } },
    remind: async (mark) => { announced.push(mark); return true },
    collect: async () => [],
    publish: quiet,
    tellNews: quiet,
    onNews: quiet,
    onReading: (listener) => { deliver = listener }
  }, seconds)
  const reader = base.database()
  let last = await readEnds(reader, null)
  /** Returns a reading after the last one. */
  async function read (...marks: string[]): Promise<SharedReading> {
    const since = last.snapshot
    last = await readEnds(reader, since)
    return { ...last, since, marks }
  }
  await until('its first announcement', () => announced.length > 0)
  return { ...base, poller, heard, announced, read, deliver: (reading: SharedReading) => deliver(reading) }
}

t.test('J5 a reading counts from the announcement whose mark it has, and for nothing without', async (t) => {
  const { poller, heard, announced, read, deliver, end } = await scripted(t)
  await end('one')
  await until('no own reading under way', () => heard.includes('one') || poller.readings().own > 0)
  deliver(await read())
  // During a reading of its own, it takes the message after that.
  await until('it to name an end', () => heard.includes('one'))
  const ageMs = poller.ageMs()
  const { own } = poller.readings()
  const old = await read('of nobody')
  deliver(old)
  t.ok(poller.ageMs() >= ageMs || poller.readings().own > own, 'but makes nothing fresh')
  const count = announced.length
  deliver(await read(announced.at(-1)!))
  if (announced.length === count) t.ok(poller.ageMs() < ageMs || poller.readings().shared === 1)
  const [latest, earliest] = [poller.nowMs(), poller.earliestNowMs()]
  t.ok(latest > earliest)

  await until('another announcement', () => announced.length > count)
  const before = poller.readings().shared
  deliver(await read(announced[0]!))
  t.equal(poller.readings().shared, before, 'a mark answers once, and only the newest does')
  const names = [...heard]
  deliver(old)
  t.same(heard, names, 'an old one says nothing new')
})

t.test('J5 a reading that does not continue the own knowledge makes the replica read', async (t) => {
  const { poller, heard, read, deliver, end } = await scripted(t)
  const readsAfter = async (what: string, reading: SharedReading) => {
    const { own } = poller.readings()
    deliver(reading)
    await until(`its own reading after ${what}`, () => poller.readings().own > own)
  }
  deliver(await read())
  await end('lost')
  const lost = await read()
  t.equal(lost.named!.length, 1)
  await end('after it')
  await readsAfter('a lost message', await read())
  t.same(heard, ['lost', 'after it'])
  deliver(lost)
  t.same(heard, ['lost', 'after it'])

  await end('many')
  await readsAfter('one that names none', { ...await read(), named: null })
  t.equal(heard.at(-1), 'many')
  const others = [{ server: 'another' }, { timeline: 99 }, { place: 'another' }, { readOnlySettings: 'another' }]
  for (const other of others) await readsAfter(Object.keys(other)[0]!, { ...await read(), ...other })
  t.ok(poller.isFresh())
})

t.test('J5 messages in any order, lost and repeated: an end from before the announcement that was answered is known', async (t) => {
  const { poller, heard, announced, read, deliver, start, connection } = await scripted(t, 1)
  const clients = await Promise.all(Array.from({ length: 4 }, connection))
  const open = new Map<pg.Client, string>()
  /** Times of the commits of ends that were not heard of yet. */
  const unheard = new Map<string, number>()
  let heardCount = 0
  const messages: SharedReading[] = []
  // A thousand messages a second, of which some are lost, would leave a replica in doubt for ever: it would read by itself alone.
  let nextAtMs = performance.now()
  let count = 0
  const endedBy = performance.now() + sized(2_000, 6_000)
  while (performance.now() < endedBy || poller.readings().shared < 5) {
    const client = clients[randomInt(clients.length)]!
    const id = open.get(client)
    if (id === undefined) {
      await start(`end ${++count}`)
      await client.query('begin')
      await client.query(END, [`end ${count}`])
      open.set(client, `end ${count}`)
    } else {
      await client.query('commit')
      open.delete(client)
      unheard.set(id, performance.now())
    }
    if (performance.now() >= nextAtMs) {
      nextAtMs = performance.now() + randomInt(MOST_GAP_MS)
      messages.push(await read(announced.at(-1)!))
      if (randomInt(4) > 0) deliver(messages[Math.max(0, messages.length - 1 - randomInt(3))]!)
    }
    const knownSinceMs = performance.now() - poller.ageMs()
    for (; heardCount < heard.length; heardCount++) unheard.delete(heard[heardCount]!)
    const missed = [...unheard].filter(([, atMs]) => atMs < knownSinceMs)
    if (missed.length > 0) t.fail(`${missed.map(([id]) => id).join()} is not known`)
  }
  t.ok(heardCount > 10)
})

t.test('J5 one snapshot is within another as the transactions that they saw as finished', async (t) => {
  const seen = (snapshot: string) => {
    const [, xmax, open = ''] = snapshot.split(':')
    return Array.from({ length: Number(xmax) }, (_, id) => id).filter((id) => !open.split(',').includes(String(id)))
  }
  const some = ['1:1:', '5:5:', '3:5:3', '3:6:3', '3:6:3,4', '4:6:4', '6:6:', '3:9:3,5,7', '5:9:5,7', '9:10:', '8:12:8,10', '10:12:10']
  for (const a of some) {
    for (const b of some) t.equal(isWithin(a, b), seen(a).every((id) => seen(b).includes(id)), `${a} ${b}`)
  }
})
