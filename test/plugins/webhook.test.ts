import { createHmac, randomBytes } from 'node:crypto'
import t from 'tap'
import { freshApp, type Fresh } from '../helpers/app.js'
import { need } from '../helpers/need.js'
import { expect, signUp } from '../helpers/person.js'
import { receiver, type Received } from '../helpers/receiver.js'
import { idOf, staffAt } from '../helpers/staff.js'
import { until } from '../helpers/wait.js'

await need('postgres')

const key = randomBytes(32)
const settings = (url: string) => ({ WEBHOOK_URL: url, WEBHOOK_PRIVATE: '127.0.0.1', WEBHOOK_KEYS: `k:${key.toString('base64url')}` })

const due = async ({ db }: Fresh) => Number((await db.query('select count(*) as n from otp_delivery'))[0]!['n'])
const told = (received: readonly Received[]) => received.map(({ headers }) => String(headers['webhook-id']))

t.test('E5 every event reaches the receiver, signed, once it is committed, and says nothing secret', async (t) => {
  const hook = await receiver(t)
  const fresh = await freshApp(t, settings(hook.url))
  const grace = await staffAt(fresh)
  const ada = await (await signUp(fresh.app)).enrol()
  await ada.verify(await ada.wrongCode())
  await ada.login('not this one')
  const { setupCode } = expect(200, await grace.request('POST', `/admin/users/${idOf(ada)}/reset-otp`, { reason: 'Lost it.' })).json()
  await until('the outbox to be empty', async () => await due(fresh) === 0)

  const written = await fresh.db.query<{ id: string, kind: string }>('select id, kind from otp_event')
  t.same(told(hook.received).sort(), written.map(({ id }) => id).sort(), 'each of them, once')
  for (const { headers, body } of hook.received) {
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
    t.equal(headers['webhook-signature'], `v1,${createHmac('sha256', key).update(signed).digest('base64')}`)
    t.equal(JSON.parse(body).data.id, headers['webhook-id'])
    t.ok(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000) < 60)
  }
  const kinds = hook.received.map(({ body }) => JSON.parse(body).type)
  for (const kind of ['signed_up', 'logged_in', 'otp_enabled', 'otp_refused', 'login_failed', 'otp_reset', 'otp_reset_issued']) {
    t.ok(kinds.includes(kind), kind)
  }
  const all = hook.received.map(({ body }) => body).join('\n')
  t.match(JSON.parse(hook.received.find(({ body }) => body.includes('"otp_reset"'))!.body).data, {
    userId: idOf(ada), actorId: idOf(grace), detail: 'Lost it.'
  })
  for (const secret of [
    setupCode, ada.password, 'not this one', ada.access!, ada.refresh!, ...ada.recoveryCodes, ada.phone.secret!.toString('base64url')
  ]) t.notOk(all.includes(secret))
})

t.test('a dead receiver blocks nothing, is tried again ever later, and gets everything when it is back', async (t) => {
  const first = await receiver(t)
  const { port } = new URL(first.url)
  await first.stop()
  const fresh = await freshApp(t, settings(first.url))
  const ada = await signUp(fresh.app)
  const startedAtMs = performance.now()
  for (let i = 0; i < 5; i++) expect(200, await ada.login())
  t.ok(performance.now() - startedAtMs < 3_000)
  await until('every event to have been tried', async () =>
    (await fresh.db.query('select from otp_delivery where attempts = 0')).length === 0, 20_000)
  const [waiting] = await fresh.db.query<{ least: number, most: number }>(`
    select min(extract(epoch from due_at - clock_timestamp()))::float8 as least,
      max(extract(epoch from due_at - clock_timestamp()))::float8 as most from otp_delivery`)
  t.ok(waiting!.most <= 30 && await due(fresh) === 6, 'six events wait')

  const back = await receiver(t, Number(port))
  await fresh.clock.advance(60)
  await until('the outbox to be empty', async () => await due(fresh) === 0, 60_000)
  t.equal(new Set(told(back.received)).size, 6)
})

t.test('two replicas with a slow receiver send each event once', async (t) => {
  const hook = await receiver(t)
  hook.answer = (response) => { setTimeout(() => response.writeHead(200).end(), 50) }
  const fresh = await freshApp(t, settings(hook.url))
  await fresh.another()
  await fresh.db.query(`
    with event as (
      insert into otp_event (user_id, at, id, kind, ip, agent)
      select 'u' || n % 7, clock_timestamp(), gen_random_uuid(), 'logged_in', '', '' from generate_series(1, 200) n returning *
    )
    insert into otp_delivery (user_id, id, event_at, event_id, destination, due_at, created_at)
    select user_id, gen_random_uuid(), at, id, 'webhook', at, at from event`)
  await until('the outbox to be empty', async () => await due(fresh) === 0, 30_000)
  t.equal(hook.received.length, 200)
  t.equal(new Set(told(hook.received)).size, 200)
})

t.test('without WEBHOOK_URL nothing is put into the outbox', async (t) => {
  const fresh = await freshApp(t)
  const ada = await signUp(fresh.app)
  await ada.enrol()
  t.equal(await due(fresh), 0)
})
