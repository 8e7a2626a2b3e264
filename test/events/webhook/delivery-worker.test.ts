import { randomBytes } from 'node:crypto'
import t from 'tap'
import { claimDeliveries, WEBHOOK } from '../../../src/events/outbox.js'
import { createCounters } from '../../../src/core/counters.js'
import { deliver, type DeliveryDeps } from '../../../src/events/webhook/delivery-worker.js'
import type { Message } from '../../../src/events/webhook/message.js'
import { freshApp } from '../../helpers/app.js'
import { emptied } from '../../helpers/emptied.js'
import { need } from '../../helpers/need.js'

await need('postgres')

const shared = await freshApp(t)
const DAY = 24 * 3600

/** Makes an outbox that only the test works on, and a receiver whose answers the test decides. */
async function outbox (events: number) {
  const { app, db, clock } = await emptied(shared)
  const put = (kind: string, count: number) => db.query(`
    with event as (
      insert into otp_event (user_id, at, id, kind, ip, agent)
      select 'u' || n % 7, clock_timestamp(), gen_random_uuid(), $1, '', '' from generate_series(1, $2::int) n returning *
    )
    insert into otp_delivery (user_id, id, event_at, event_id, destination, due_at, expires_at, created_at)
    select user_id, gen_random_uuid(), at, id, $3, at, at + interval '1 day', at from event`, [kind, count, WEBHOOK])
  await put('logged_in', events)
  const sent: Message[] = []
  const failures: unknown[] = []
  const counters = createCounters()
  const receiver = { takes: (_type: string) => true }
  const deps: DeliveryDeps = {
    db: app.database,
    keys: [{ kid: 'k', bytes: randomBytes(32) }],
    counters,
    report: (error) => { failures.push(error) },
    sender: {
      async send (message) {
        sent.push(message)
        if (!receiver.takes(JSON.parse(message.body).type)) throw new Error('refused')
      },
      close () {}
    }
  }
  const rows = () => db.query<{ kind: string, attempts: number, waits: number }>(`
    select kind, attempts, extract(epoch from due_at - clock_timestamp())::float8 as waits
    from otp_delivery d join otp_event e on e.user_id = d.user_id and e.at = d.event_at and e.id = d.event_id order by at, e.id`)
  const counted = () => Object.fromEntries(counters.read('webhooks_total').map(({ labels, value }) => [labels['outcome'], value]))
  return { database: app.database, clock, put, sent, failures, receiver, deps, rows, counted }
}

t.test('batches are bounded, and empty the outbox', async (t) => {
  const { deps, sent, rows, counted } = await outbox(23)
  t.same(await deliver(deps), { sent: 10, failed: 0, givenUp: 0, isMore: true })
  t.same(await deliver(deps), { sent: 10, failed: 0, givenUp: 0, isMore: true })
  t.same(await deliver(deps), { sent: 3, failed: 0, givenUp: 0, isMore: false })
  t.same(await deliver(deps), { sent: 0, failed: 0, givenUp: 0, isMore: false })
  t.equal(new Set(sent.map(({ headers }) => headers['webhook-id'])).size, 23)
  t.same(await rows(), [])
  t.same(counted(), { sent: 23 })
})

t.test('what the receiver does not take holds up nothing else, waits twice as long each time, and is given up after a day', async (t) => {
  const { deps, clock, put, sent, failures, receiver, rows, counted } = await outbox(3)
  await put('unlocked', 1)
  receiver.takes = (type) => type !== 'unlocked'
  t.same(await deliver(deps), { sent: 3, failed: 1, givenUp: 0, isMore: false })
  for (let attempt = 1; attempt <= 12; attempt++) {
    const [{ attempts, waits } = { attempts: 0, waits: 0 }] = (await rows()).filter(({ kind }) => kind === 'unlocked')
    const base = Math.min(5 * 2 ** (attempt - 1), 3600)
    t.equal(attempts, attempt)
    t.ok(waits! > base * 0.75 - 3 && waits! <= base * 1.25, `${waits} s after attempt ${attempt}`)
    await clock.advance(waits! - 2)
    t.match(await deliver(deps), { sent: 0, failed: 0 }, 'not before')
    await clock.advance(3)
    t.match(await deliver(deps), { failed: 1 })
  }
  const unlocked = sent.filter(({ body }) => body.includes('unlocked'))
  t.equal(new Set(unlocked.map(({ headers }) => headers['webhook-id'])).size, 1, 'always the same id')
  t.equal(failures.length, 13)
  await clock.advance(DAY)
  t.same(await deliver(deps), { sent: 0, failed: 0, givenUp: 1, isMore: false })
  t.same(await rows(), [])
  t.same(counted(), { sent: 3, failed: 13, given_up: 1 })
})

t.test('an event that nobody could send all day, since all replicas were down, is tried once', async (t) => {
  const { deps, clock, receiver } = await outbox(2)
  await clock.advance(3 * DAY)
  receiver.takes = () => false
  t.match(await deliver(deps), { failed: 2, givenUp: 0 })
  await clock.advance(10)
  t.match(await deliver(deps), { failed: 0, givenUp: 2 })
})

t.test('more than one batch is given up in one round, while the receiver takes nothing', async (t) => {
  const { deps, clock, put, receiver, rows } = await outbox(0)
  receiver.takes = () => false
  await put('logged_in', 1_201)
  await clock.advance(2 * DAY)
  await deps.db.kysely.updateTable('otp_delivery').set({ attempts: 1 }).execute()
  await put('unlocked', 1)
  t.same(await deliver(deps), { sent: 0, failed: 1, givenUp: 1_201, isMore: false })
  t.same((await rows()).map(({ kind }) => kind), ['unlocked'])
})

t.test('expired deliveries wait for a round that gives up, and are not sent meanwhile', async (t) => {
  const { deps, clock, sent, rows } = await outbox(3)
  await clock.advance(2 * DAY)
  await deps.db.kysely.updateTable('otp_delivery').set({ attempts: 1 }).execute()
  t.same(await deliver({ ...deps, isUpkeep: false }), { sent: 0, failed: 0, givenUp: 0, isMore: false })
  t.equal((await rows()).length, 3)
  t.equal(sent.length, 0)
  t.match(await deliver(deps), { givenUp: 3 })
  t.same(await rows(), [])
})

t.test('a message for another destination is not claimed', async (t) => {
  const { database, put, deps } = await outbox(0)
  await put('logged_in', 2)
  await deps.db.kysely.updateTable('otp_delivery').set({ destination: 'mail' }).execute()
  t.same(await claimDeliveries(database, WEBHOOK, 10), [])
  t.equal((await claimDeliveries(database, 'mail', 10)).length, 2)
})

t.test('60 at once claim each event once; what a dead replica had claimed is another\'s after half a minute', async (t) => {
  const { database, clock } = await outbox(500)
  const claim = () => claimDeliveries(database, WEBHOOK, 10)
  const claims = (await Promise.all(Array.from({ length: 60 }, claim))).flat().map(({ deliveryId }) => deliveryId)
  t.equal(new Set(claims).size, claims.length)
  while (claims.length < 500) claims.push(...(await claim()).map(({ deliveryId }) => deliveryId))
  t.equal(new Set(claims).size, 500)
  t.same(await claimDeliveries(database, WEBHOOK, 10), [])
  await clock.advance(31)
  t.equal((await claimDeliveries(database, WEBHOOK, 500)).length, 500)
})
